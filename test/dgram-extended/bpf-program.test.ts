import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, expect } from 'vitest'
import { BpfProgram } from '../../src/dgram-extended/bpf-program.ts'
import { SyscallError } from '../../src/dgram-extended/syscall-error.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool')

/** r0 = TC_ACT_SHOT; exit, as RFC 9669 has them. */
const DROP = Uint8Array.from(Buffer.from('b700000002000000' + '9500000000000000', 'hex'))
const EXIT = Uint8Array.from(Buffer.from('9500000000000000', 'hex'))

let hosts: NamespacePair | undefined
afterAll(() => hosts?.dispose())

const descriptors = () => readdirSync('/proc/self/fd').length
const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8')

it('tc in another namespace attaches the program, which stays when it is closed and leaves nothing else', () => {
  hosts = joinedNamespaces()
  const { left, right } = hosts
  const [descriptorsBefore, mountsBefore] = [descriptors(), mounts()]
  const program = BpfProgram.load('drop.all_7', DROP)
  expect(mounts()).toBe(mountsBefore)
  left.exec(['tc', 'qdisc', 'add', 'dev', left.device, 'clsact'])
  const filter = ['tc', 'filter', 'add', 'dev', left.device, 'egress', 'bpf', 'direct-action']
  left.exec([...filter, 'object-pinned', program.path])
  program.close()
  program.close()
  expect(descriptors()).toBe(descriptorsBefore)
  expect(() => left.exec([...filter, 'object-pinned', program.path])).toThrow("Couldn't retrieve pinned program")
  expect(left.exec(['tc', 'filter', 'show', 'dev', left.device, 'egress'])).toContain('name drop.all_7')
  expect(() => left.exec(['ping', '-c', '1', '-W', '1', right.ipv4])).toThrow()
  left.exec(['tc', 'qdisc', 'del', 'dev', left.device, 'clsact'])
  expect(left.exec(['ping', '-c', '1', '-W', '1', right.ipv4])).toContain('1 received')
})

it("a program that the kernel's verifier refuses fails with its reason, and leaves no descriptor", () => {
  const before = descriptors()
  expect(() => BpfProgram.load('bad', EXIT)).toThrow(/^bpf failed: EACCES \(program bad; the verifier: .*R0 !read_ok/)
  expect(() => BpfProgram.load('bad', new Uint8Array())).toThrow(SyscallError)
  expect(descriptors()).toBe(before)
})

it.each(['', 'sixteen.letters_', 'a-b', 'a b'])('"%s" is no name for a program', (name) => {
  expect(() => BpfProgram.load(name, DROP)).toThrow(RangeError)
})

requires('root', 'setpriv')('without the capability, the error names it', () => {
  const source = new URL('../../src/dgram-extended/bpf-program.ts', import.meta.url).href
  const script = `import('${source}').then(m => m.BpfProgram.load('x', Uint8Array.of(183,0,0,0,0,0,0,0,149,0,0,0,0,0,0,0)), String)
    .catch(error => { console.log(error.message); process.exit(7) })`
  const tsx = import.meta.resolve('tsx')
  const argv = [
    '--reuid=65534',
    '--clear-groups',
    '--bounding-set=-all',
    process.execPath,
    '--import',
    tsx,
    '-e',
    script,
  ]
  const { status, stdout, stderr } = spawnSync('setpriv', argv, { encoding: 'utf8', env: { PATH: process.env.PATH } })
  expect({ status, stdout, stderr }).toMatchObject({ status: 7, stdout: expect.stringContaining('CAP_BPF') })
})
