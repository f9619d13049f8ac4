import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { Collector, expectBalance } from '../support/collector.ts'
import { NOBODY, runCommand } from '../support/command.ts'
import { joinedNamespaces } from '../support/namespaces.ts'
import { GOLDEN } from '../support/oracle.ts'
import { requires } from '../support/requirements.ts'
import { fieldsOf, framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'exit-codes-'))
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const AS_NOBODY = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups']
const DELIVERED = 'Everything in front of that place has been delivered'
const CAPTURE = `${GOLDEN}kernel-ipv4.pcap`

/** The command ends with the code and says exactly two lines: what happened, how to mend it. */
function expectRefusal(
  args: readonly string[],
  exitCode: number,
  what: string,
  mend: string,
  as?: readonly string[],
): void {
  const ended = runCommand(args, as)
  expect({ args, ...ended }).toMatchObject({ exitCode })
  expect(ended.lines).toHaveLength(2)
  expect(ended.lines[0]).toContain(what)
  expect(ended.lines[1]).toContain(mend)
  expect(ended.stdout).toHaveLength(0)
}

describe('usage, 64', () => {
  requires('build').each([
    [['--nonsense'], "unknown option '--nonsense'", 'mirror-collector --help'],
    [['--report='], '--report: names no file', 'report.json'],
    [['--http', 'name:90'], '"name" is not an IP address', 'address in numbers'],
    [['--out=kafka:'], '"kafka:": its target is missing', 'Write e.g.'],
    [['--b\u001b[31m'], "unknown option '--b\\u001b[31m'", 'mirror-collector --help'],
    [['decap', '--headers', '\u001b[31mX', 'x'], "'\\u001b[31mX' is invalid", 'mirror-collector decap --help'],
    [['nonsense'], 'There is no command "nonsense".', 'decap'],
    [['helpp'], 'There is no command "helpp"; the nearest is "help".', 'help'],
    [['dekap', 'x.pcap'], 'There is no command "dekap"; the nearest is "decap".', 'mirror-collector --help'],
    [['dekap', 'x.pcap', '--out', 'null'], 'There is no command "dekap"', 'decap'],
    [['--vni', 'abc'], '--vni: "abc" is neither', '100,200-299,!250'],
    [['--vni', '5-3'], 'the range 5-3 runs backwards', '100,200-299,!250'],
    [['--allow-from', '10.0.0.0/33'], '--allow-from: "10.0.0.0/33"', '10.0.0.0/8'],
    [['--snaplen', '0'], '--snaplen: "0"', 'Write digits only'],
    [['--snaplen', '262145'], '262144', 'whole frames'],
    [['--count', '1.5'], '--count: "1.5"', 'Write digits only'],
    [['--duration', '5'], '--duration: "5"', 'e.g. 60s'],
    [['--stats', '-1s'], '--stats: "-1s"', 'e.g. 60s'],
    [['--buffer', '64'], '--buffer: "64"', 'e.g. 64MiB'],
    [['--engine', 'tun'], "'tun' is invalid", 'mirror-collector --help'],
    [['--log-level', 'loud'], "'loud' is invalid", 'mirror-collector --help'],
    [['--listen', 'foo://:1'], '"foo" is not an encapsulation', '[ENCAP://][HOST]:PORT'],
    [['--listen', ':5000'], 'port 5000 belongs to no encapsulation', 'vxlan://:5000'],
    [['--listen', ':65536'], '65536', '[ENCAP://][HOST]:PORT'],
    [['--listen', '::1:4789'], 'needs brackets', '[2001:db8::2]:4789'],
    [['--out', 'bogus'], '"bogus" names no kind of sink', 'There are: '],
    [['--out', 'pcap:a%Q.pcap'], 'unknown field %Q', '%Y'],
    [['--out', 'pcap:a.pcap?shiny=1'], 'shiny', 'Write e.g. pcap:'],
    [['--out', 'pcap:a.pcap?rotate=5'], 'rotate: "5"', 'rotate=60s'],
    [['--out', 'pcap:a.pcap?keep=x'], 'keep: "x"', 'keep=10'],
    [['--out', 'pcap:a.pcap?compress=zip'], 'compress', 'Write e.g. pcap:'],
    [['--out', 'pcap:a.pcap?queue=1KiB'], 'queue: is below 1MiB', 'queue=16MiB'],
    [['--out', 'pcap:a.pcap?queue=2MiB&queue=3MiB'], '"queue" is given twice', 'Write e.g. pcap:'],
    [['--out', 'null?overflow=block'], 'overflow=block would make the receiver wait', 'decap'],
    [['--out', 'null:x'], 'takes no target', 'alone'],
    [['--out', 'pcap:-', '--out', 'pcapng:-'], 'more than once', 'Give the others a file'],
    [['--out', 'pcap:-', '--report', '-'], 'more than once', 'Give the others a file'],
    [['decap'], "missing required argument 'file'", 'mirror-collector decap --help'],
    [
      ['decap', 'a.pcap', '--engine', 'udp'],
      '--engine is an option of mirror-collector',
      'mirror-collector decap --help',
    ],
  ])('%j', (args, what, mend) => expectRefusal(args, 64, what, mend))

  requires('build')('all problems are told in one go', () => {
    const { exitCode, lines } = runCommand(['--vni', 'x', '--count', 'y', '--duration', 'z', '--out', 'null'])
    expect(exitCode).toBe(64)
    for (const option of ['--vni', '--count', '--duration']) expect(lines.join('\n')).toContain(`${option}: `)
  })
})

requires('build', 'script').each([
  ['--listen vxlan://127.0.0.1:0 --duration 1s', 'pcap:-', 'pcap'],
  ['--listen vxlan://127.0.0.1:0 --duration 1s', 'pcapng:-?compress=gzip', 'pcapng'],
  [`decap ${CAPTURE}`, 'pcap:-', 'pcap'],
  [`decap ${CAPTURE}`, 'pcapng:-', 'pcapng'],
])('%s --out %s on a terminal: 64, and the terminal gets nothing', (args, out, kind) => {
  const program = `'${process.execPath}' '${new URL('../../dist/bin/mirror-collector.js', import.meta.url).pathname}'`
  const report = join(folder, 'report.json')
  const line = `${program} ${args} --out '${out}' --report '${report}' 2>'${folder}/errors'`
  const { status, stdout } = spawnSync('script', ['-qefc', line, '/dev/null'], { timeout: 20_000 })
  const [what, mend, ...more] = readFileSync(join(folder, 'errors'), 'utf8').trimEnd().split('\n')
  expect({ status, stdout: stdout.toString(), more }).toEqual({ status: 64, stdout: '', more: [] })
  expect(what).toContain(`--out ${out}: standard output is a terminal`)
  expect(mend).toContain(`--out ${kind}:- |`)
  expect(readdirSync(folder)).toEqual(['errors'])
})

describe('nothing wrong, 0', () => {
  requires('build').each(['-V', '--version'])('%s is the version of the package, on standard output', (option) => {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    const { exitCode, stdout } = runCommand([option])
    expect(exitCode).toBe(0)
    expect(stdout.toString()).toBe(`${(JSON.parse(manifest) as { version: string }).version}\n`)
  })

  requires('build').each([['-h'], ['--help'], ['decap', '--help']])(
    '%s %s is the help, on standard output',
    (...args) => {
      const { exitCode, stdout, lines } = runCommand(args)
      expect(exitCode).toBe(0)
      expect(lines).toEqual([''])
      for (const word of ['--listen', '--out', '--vni', '--report', 'pcapng', 'rotate=', 'SIGHUP']) {
        expect(stdout.toString()).toContain(word)
      }
    },
  )
})

requires('build').each([
  ['mirror-collector', []],
  ['mirror-collector', ['decap']],
  ['mirror-sender', []],
  ['mirror-sender', ['up']],
])('%s help %j is the help of that', (program, words) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [new URL(`../../dist/bin/${program}.js`, import.meta.url).pathname, ...args])
  const asked = run('help', ...words)
  expect(asked.stderr.toString()).toBe('')
  expect(asked.status).toBe(0)
  expect(asked.stdout.toString()).toBe(run(...words, '--help').stdout.toString())
})

describe('unavailable, 69', () => {
  const it = requires('build', 'linux')

  it('a port that a process has: the process is named', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const { port } = socket.address()
    const name = readFileSync('/proc/self/comm', 'utf8').trim()
    expectRefusal(
      ['--listen', `vxlan://127.0.0.1:${port}`, '--out', 'null'],
      69,
      `port ${port} is in use by ${name} (process ${process.pid})`,
      'Stop that process, or use --engine ring',
    )
    socket.close()
  })

  it.each([
    ['udp', 'vxlan://[fe80::1%no0]:4789', 'there is no interface no0 with', 'ip -6 address'],
    ['dgram', 'vxlan://[fe80::1%no0]:4789', 'there is no interface no0 with', 'ip -6 address'],
    ['udp', 'vxlan://[fe80::1%99999]:4789', 'there is no interface 99999 with', 'ip -6 address'],
    ['udp', 'vxlan://[fe80::1]:4789', 'cannot bind', '[fe80::1%eth0]'],
  ])('engine %s, a link-local address without an interface: %s', (engine, address, what, mend) => {
    expectRefusal(['--engine', engine, '--listen', address, '--out', 'null'], 69, what, mend)
    const checked = runCommand(['check', '--engine', engine, '--listen', address, '--out', 'null'])
    expect(checked.exitCode).toBe(69)
    expect(checked.stdout.toString()).not.toMatch(/ at .*\.js:/)
  })

  requires(
    'build',
    'root',
    'namespaces',
    'ip',
    'ethtool',
  )("a port that a kernel's vxlan device has: the device is named", () => {
    const hosts = joinedNamespaces()
    try {
      const { name, device } = hosts.left
      const vxlan = ['type', 'vxlan', 'id', '7', 'dstport', '4789', 'dev', device, 'remote', hosts.right.ipv4]
      hosts.left.exec(['ip', 'link', 'add', 'overlay7', ...vxlan])
      hosts.left.exec(['ip', 'link', 'set', 'overlay7', 'up'])
      expectRefusal(
        ['--out', 'null'],
        69,
        "port 4789 is in use by the kernel's vxlan device overlay7",
        'ip link del overlay7',
        ['ip', 'netns', 'exec', name],
      )
    } finally {
      hosts.dispose()
    }
  })

  it.each(['192.0.2.1', '[2001:db8::1]'])("%s: an address that is not this machine's", (host) =>
    expectRefusal(
      ['--listen', `vxlan://${host}:0`, '--out', 'null'],
      69,
      'this machine has no such address',
      'ip address',
    ),
  )
})

describe('cannot create, 73', () => {
  const it = requires('build', 'linux')

  it('an output that cannot be had is told before any port is opened, and nothing is left behind', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    // The port is taken: exit code 69 would show that it was tried.
    const listen = ['--listen', `vxlan://127.0.0.1:${socket.address().port}`, '--out', `pcap:${folder}/fine.pcap`]
    expectRefusal(
      [...listen, '--out', `pcap:${folder}/absent/x.pcap`],
      73,
      `the folder ${folder}/absent does not exist`,
      `mkdir -p ${folder}/absent`,
    )
    expectRefusal([...listen, '--out', `pcap:${folder}/absent/{vni}.pcap`], 73, 'does not exist', 'mkdir -p')
    expect(readdirSync(folder)).toEqual([])
    writeFileSync(join(folder, 'there.pcap'), 'precious')
    expectRefusal([...listen, '--out', `pcap:${folder}/there.pcap`], 73, 'never overwritten', '%Y%m%d-%H%M%S')
    expectRefusal(
      [...listen, '--report', `${folder}/absent/r.json`],
      73,
      `Cannot create the report ${folder}/absent/r.json: the folder ${folder}/absent does not exist.`,
      `Create it: mkdir -p ${folder}/absent`,
    )
    expectRefusal([...listen, '--report', folder], 73, 'it is a folder', `--report ${folder}/report.json`)
    expectRefusal([...listen, '--report', `${folder}/there.pcap/r.json`], 73, 'there.pcap is no folder', 'below one')
    // There is nothing above the root, however often it is asked for.
    const proc = `pcap:${folder}/${'../'.repeat(20)}proc/x.pcap`
    expectRefusal([...listen, '--out', proc], 73, '/proc takes no files', 'another folder')
    expect(readdirSync(folder)).toEqual(['there.pcap'])
    expect(readFileSync(join(folder, 'there.pcap'), 'utf8')).toBe('precious')
    socket.close()
  })

  it('a start that fails for another reason leaves no empty file, so that the next one can succeed', () => {
    const out = ['--out', `pcap:${folder}/a.pcap`, '--out', `pcapng:${folder}/%s.pcapng?rotate=60s&compress=gzip`]
    expect(runCommand(['--listen', 'vxlan://192.0.2.1:0', ...out]).exitCode).toBe(69)
    expect(runCommand(['decap', `${folder}/absent.pcap`, ...out]).exitCode).toBe(66)
    expect(readdirSync(folder)).toEqual([])
  })

  requires(
    'build',
    'root',
    'setpriv',
  )('a folder that the user may not write to', () => {
    mkdirSync(join(folder, 'closed'), { mode: 0o755 })
    for (const name of ['x.pcap', '{vni}.pcap']) {
      const out = ['--listen', 'vxlan://127.0.0.1:0', '--out', `pcap:${folder}/closed/${name}`]
      expectRefusal(out, 73, 'permission denied', `write to ${folder}/closed`, AS_NOBODY)
    }
    const report = ['--listen', 'vxlan://127.0.0.1:0', '--out', 'null', '--report', `${folder}/closed/r.json`]
    expectRefusal(report, 73, 'permission denied', `write to ${folder}/closed`, AS_NOBODY)
    expect(readdirSync(join(folder, 'closed'))).toEqual([])
  })
})

describe('input of decap', () => {
  requires('build')('a file that does not exist: 66', () =>
    expectRefusal(
      ['decap', `${folder}/absent`, '--out', 'null'],
      66,
      'absent: there is no such file',
      'Check the path',
    ),
  )

  requires('build')('a configuration that does not exist: 66', () =>
    expectRefusal(['--config', `${folder}/absent`], 66, 'absent: there is no such file.', '--config'),
  )
  requires('build')('a directory: 66', () =>
    expectRefusal(['decap', folder, '--out', 'null'], 66, 'it is a directory', 'Name one file'),
  )

  requires(
    'build',
    'root',
    'setpriv',
  )('a file that the user may not read: 77', () => {
    writeFileSync(join(folder, 'secret.pcap'), readFileSync(CAPTURE), { mode: 0o600 })
    expectRefusal(
      ['decap', `${folder}/secret.pcap`, '--out', 'null'],
      77,
      'secret.pcap: permission denied',
      'chmod',
      AS_NOBODY,
    )
  })

  requires('build', 'tshark')('a file that breaks off: 74, the place and the reason, and all before it', async () => {
    const whole = readFileSync(CAPTURE)
    const lengths = fieldsOf(CAPTURE, ['frame.cap_len']).map(([length]) => Number(length))
    // pcap: a header of 24 bytes, and 16 before each packet.
    const lastRecord = whole.length - 16 - lengths.at(-1)!
    const broken = join(folder, 'broken.pcap')
    writeFileSync(broken, whole.subarray(0, whole.length - 1))
    const out = join(folder, 'out.pcap')
    const collector = new Collector(['decap', broken, '--out', `pcap:${out}`])
    try {
      expect(await collector.exit()).toBe(74)
      const report = collector.report()
      expectBalance(report)
      expect(report).toMatchObject({ received: lengths.length - 1, delivered: lengths.length - 1 })
      const lines = collector.stderr.trimEnd().split('\n')
      expect(lines.at(-2)).toContain(`${broken}: byte ${lastRecord}: cut`)
      expect(lines.at(-1)).toContain(DELIVERED)
      const inner = framesOf(`${GOLDEN}kernel-ipv4.inner.pcap`).map((frame) => frame.bytes)
      expect(framesOf(out).map((frame) => frame.bytes)).toEqual(inner.slice(0, -1))
    } finally {
      await collector.dispose()
    }
  })

  requires('build')('a file of something else: 74', () => {
    writeFileSync(join(folder, 'text'), 'no packets here, only words\n'.repeat(10))
    expectRefusal(['decap', join(folder, 'text'), '--out', 'null', '--quiet'], 74, 'byte 0: ', DELIVERED)
  })
})

requires(
  'build',
  'root',
  'namespaces',
  'ip',
  'ethtool',
  'setpriv',
)('a port that takes a capability: 77, and the capability is named', () => {
  const hosts = joinedNamespaces()
  try {
    const inside = ['ip', 'netns', 'exec', hosts.left.name, ...AS_NOBODY]
    const args = ['--listen', 'vxlan://127.0.0.1:789', '--out', 'null']
    expectRefusal(args, 77, 'CAP_NET_BIND_SERVICE', 'above 1023', inside)
  } finally {
    hosts.dispose()
  }
})

requires('build')('a reader of the help that has seen enough makes no failure of it', () => {
  for (const program of ['mirror-collector', 'mirror-sender']) {
    const command = new URL(`../../dist/bin/${program}.js`, import.meta.url).pathname
    // The reader has gone before a byte is written.
    const { status, stderr } = spawnSync('sh', [
      '-c',
      '(sleep 1; "$0" "$1" --help; echo "$?" >&2) | true',
      process.execPath,
      command,
    ])
    expect({ program, status, stderr: stderr.toString() }).toEqual({ program, status: 0, stderr: '0\n' })
  }
})

requires('build', 'linux').each([
  ['mirror-collector', ['--help']],
  ['mirror-collector', ['--version']],
  ['mirror-collector', ['decap', '--help']],
  ['mirror-collector', ['check', '--print', '--out', 'null']],
  ['mirror-collector', ['check', '--json', '--listen', 'vxlan://127.0.0.1:0', '--out', 'null']],
  ['mirror-collector', ['extcap', '--extcap-interfaces']],
  ['mirror-sender', ['--help']],
])('%s %j into what has no room: 74', (program, args) => {
  const command = new URL(`../../dist/bin/${program}.js`, import.meta.url).pathname
  const { status, stderr } = spawnSync(process.execPath, [command, ...args], {
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({
    status: 74,
    stderr: `${program}: Cannot write to standard output: no room is left on its disk.\nMake room, or send it somewhere else.\n`,
  })
})

requires('build')('where too few files may be open to load the program, it says so and not what Node says', () => {
  const command = new URL('../../dist/bin/mirror-collector.js', import.meta.url).pathname
  const script = 'ulimit -n 64; exec "$0" "$1" decap test/golden/kernel-ipv4.pcap --out null'
  const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, command], { encoding: 'utf8' })
  expect(status).toBe(69)
  expect(stderr).toMatch(/^mirror-collector: no more than 64 files may be open .*\nAllow more: ulimit -n 1024.*\n$/)
})

requires('build')(
  "a SIGUSR1 in the program's first moment leaves no inspector open",
  async () => {
    const command = new URL('../../dist/bin/mirror-collector.js', import.meta.url).pathname
    // Too early it ends the process before Node is there, too late our handler has it: somewhere between Node opens its inspector.
    for (let delay = 10; delay < 400; delay += 10) {
      const child = spawn(process.execPath, [
        command,
        '--listen',
        'vxlan://127.0.0.1:0',
        '--out',
        'null',
        '--log-level',
        'info',
      ])
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
      await setTimeout(delay)
      child.kill('SIGUSR1')
      await until(
        'it listens, or is gone',
        () => said.includes('"listening') || child.exitCode !== null || child.signalCode !== null,
      )
      const [, address] = /ws:\/\/([^/]+)\//.exec(said) ?? []
      const answer = address && (await fetch(`http://${address}/json/list`).catch(() => 'refused'))
      child.kill('SIGKILL')
      if (address === undefined) continue
      expect(answer).toBe('refused')
      return
    }
    throw new Error('the moment was never met')
  },
  60_000,
)
