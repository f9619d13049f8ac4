import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileFilter, FilterExpressionError } from '../../src/dgram-extended/libpcap.ts'
import { requires } from '../support/requirements.ts'

const LINKTYPE_ETHERNET = 1
const LINKTYPE_RAW = 101
const MODULE = new URL('../../src/dgram-extended/libpcap.ts', import.meta.url).href

/** The program that tcpdump makes of an expression, for Ethernet and tcpdump's own snap length. */
function byTcpdump(expression: string): number[][] {
  const { stdout, stderr } = spawnSync('tcpdump', ['-y', 'EN10MB', '-ddd', expression], { encoding: 'utf8' })
  expect(stdout, stderr).not.toBe('')
  const [, ...lines] = stdout.trim().split('\n')
  return lines.map((line) => line.split(' ').map(Number))
}

function compiled(expression: string, linkType = LINKTYPE_ETHERNET): number[][] {
  return compileFilter(expression, linkType, 262_144).instructions.map(({ code, jt, jf, k }) => [code, jt, jf, k])
}

const it = requires('linux', 'libpcap')

requires('linux', 'libpcap', 'tcpdump', 'root').each([
  '',
  'tcp port 443',
  'host 10.1.2.3 or net 192.168.0.0/16',
  'ip6 and udp portrange 5000-6000',
  'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 10.0.0.0/8',
  'ether host 02:00:00:00:00:01 and greater 200',
  'ip[2:2] / 3 > 20 and 0xfffffff0 > ip[16:4]',
])('"%s" becomes what tcpdump makes of it', (expression) => {
  expect(compiled(expression)).toEqual(byTcpdump(expression))
})

it('VLAN tags are looked for in the bytes, not in what Linux keeps beside them', () => {
  const SKF_AD_OFF = 0xfffff000
  expect(compiled('vlan 100 and vlan 200 and tcp').filter(([, , , k]) => k! >= SKF_AD_OFF)).toEqual([])
})

it('IP without a link header starts at byte 0', () => {
  // Loads a byte from 0 (ldb [0]); Ethernet's program begins with the EtherType (ldh [12]).
  expect(compiled('ip', LINKTYPE_RAW)[0]).toEqual([0x30, 0, 0, 0])
  expect(compiled('ip')[0]).toEqual([0x28, 0, 0, 12])
})

it.each([
  ['tcp port', 'syntax error'],
  ['port 70000', '70000'],
  ['ip and arp', 'rejects all packets'],
  ['tcp\0 port 443', 'NUL'],
])('"%s" is refused with the reason', (expression, reason) => {
  expect(() => compileFilter(expression, LINKTYPE_ETHERNET, 96)).toThrow(FilterExpressionError)
  expect(() => compileFilter(expression, LINKTYPE_ETHERNET, 96)).toThrow(reason)
  expect(() => compileFilter(expression, LINKTYPE_ETHERNET, 96)).toThrow('pcap-filter(7)')
})

it('a thousand compilations, good and bad, give the same', () => {
  const first = compiled('tcp port 443')
  for (let i = 0; i < 1000; i++) {
    expect(() => compileFilter('tcp port', LINKTYPE_ETHERNET, 96)).toThrow(FilterExpressionError)
    expect(compiled('tcp port 443')).toEqual(first)
  }
})

requires(
  'root',
  'linux',
  'libpcap',
  'namespaces',
)('without libpcap it says what to install', () => {
  const listed = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout
  const files = [...listed.matchAll(/^\s*libpcap\.so\S* .*=> (.*)$/gm)].map(([, file]) => realpathSync(file!))
  expect(files).not.toEqual([])
  // In a mount namespace of its own an empty file lies over the library.
  const hide = files.map((file) => `mount --bind /dev/null ${file}`).join(' && ')
  const program = `import(${JSON.stringify(MODULE)}).then(m => m.compileFilter('tcp', 1, 96)).catch(e => console.log(e.name + ': ' + e.message))`
  const node = `${process.execPath} --import tsx --eval "$PROGRAM"`
  const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', `${hide} && exec ${node}`], {
    encoding: 'utf8',
    env: { ...process.env, PROGRAM: program },
  })
  expect(stdout, stderr).toContain('LibpcapMissingError')
  expect(stdout.trimEnd().split('\n')[1]).toContain('apt install libpcap0.8')
})

test('where there are no system calls it says so, and throws what its callers know', () => {
  const program = `Object.defineProperty(process, 'platform', { value: 'darwin' })
    import(${JSON.stringify(MODULE)}).then(m => m.compileFilter('tcp', 1, 96)).catch(e => console.log(e.name + ': ' + e.message))`
  const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--eval', program], { encoding: 'utf8' })
  expect(stdout).toContain('LibpcapMissingError')
  expect(stdout).toContain('this is darwin')
})
