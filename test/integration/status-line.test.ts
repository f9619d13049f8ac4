import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { runCommand } from '../support/command.ts'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { TunnelTraffic } from '../support/tunnel-traffic.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'script', 'mkfifo')
const ERASE = '\r\u001b[2K'

let folder = ''
let child: ChildProcess | undefined
let received = ''
/** What came, with a word for the sequence that erases a line. */
let screen = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'status-line-'))
  received = ''
  screen = ''
})
afterEach(() => {
  if (child?.exitCode === null) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a shell command whose standard error is a terminal, 100 columns wide. */
function onTerminal(command: string): ChildProcess {
  const shell = `stty cols 100; ${command}`
  child = spawn('script', ['-qefc', shell, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TERM: 'xterm' },
  })
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    received += text
    screen = received.replaceAll(ERASE, '<erase>')
  })
  return child
}

const program = `'${process.execPath}' '${BUILT_COMMAND}'`

it('a live run has one line that shows rate, drops and sink, and log lines stay whole', async () => {
  const running = onTerminal(`echo $$; exec ${program} --listen vxlan://127.0.0.1:0 --out null --stats 700ms`)
  await until('it listens', () => /listening on 127\.0\.0\.1:\d+/.test(screen))
  const traffic = await TunnelTraffic.start(Number(/listening on 127\.0\.0\.1:(\d+)/.exec(screen)![1]), ['127.0.0.1'])
  try {
    await until('the line is there', () =>
      /\d+ frames\/s {2}\d.*bit\/s {2}\d+ frames {2}[1-9]\d* dropped {2}null /.test(screen),
    )
    await until('a log line came between', () => /<erase>[^\n]*Statistics\.[^\r\n]*\r\n\S/.test(screen))
  } finally {
    traffic.stop()
  }
  running.stdin!.write('\u0003')
  await until('it has ended', () => running.exitCode !== null)
  expect(running.exitCode).toBe(0)
  // Every log line begins where a line begins: behind a line feed, or behind an erased line.
  for (const { index } of screen.matchAll(/\d\d:\d\d:\d\d /g)) {
    expect(screen.slice(0, index)).toMatch(/(\n|<erase>|\^C|^)$/)
  }
  expect(screen).toMatch(/<erase>\d+ frames captured/)
})

it('decap of a large file shows how much is done and how long the rest takes', async () => {
  const golden = readFileSync(new URL('../golden/kernel-ipv4.pcap', import.meta.url))
  const large = join(folder, 'large.pcap')
  const packets = Buffer.concat(Array.from({ length: 20_000 }, () => golden.subarray(24)))
  writeFileSync(large, Buffer.concat([golden.subarray(0, 24), packets]))
  const fifo = join(folder, 'fifo')
  const running = onTerminal(`mkfifo ${fifo}; exec ${program} decap ${large} --out 'pcap:-?queue=1MiB' > ${fifo}`)
  await until('the pipe is there', () => existsSync(fifo))
  // A reader that takes nothing yet: the program waits for it.
  const reader = openSync(fifo, 'r+')
  await until('progress is shown', () => /<erase>[1-9]\d? %, \d+:\d\d left {2}/.test(screen))
  const drain = spawn('cat', { stdio: [reader, 'ignore', 'ignore'] })
  await until('it has ended', () => running.exitCode !== null)
  drain.kill()
  expect(running.exitCode).toBe(0)
  expect(screen).toMatch(/\d+ frames captured/)
})

it('control characters in a name reach neither terminal nor log', () => {
  const name = `pcap:${folder}/a\u001b]0;title\u0007\u009b31m\u202eb.pcap`
  const { exitCode, lines } = runCommand([
    'decap',
    new URL('../golden/kernel-ipv4.pcap', import.meta.url).pathname,
    '--out',
    name,
  ])
  expect(exitCode).toBe(0)
  const text = lines.join('\n')
  expect(text).toContain('a\\u001b]0;title\\u0007\\u009b31m\\u202eb.pcap')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  expect(runCommand(['decap', `${folder}/\u001b[31m`, '--out', 'null']).lines[0]).toContain('\\u001b[31m')
})

it.each([[[]], [['--json']]])('nor what check %j says of it', (more) => {
  const { stdout } = runCommand(['check', '--out', `pcap:${folder}/a\u001b[31m\u0007\u009b1m.pcap`, ...more])
  expect(stdout.toString()).toContain('a\\u001b[31m\\u0007\\u009b1m.pcap')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(stdout.toString()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  if (more.length > 0) JSON.parse(stdout.toString())
})

it('where standard error is no terminal there is no status line', () => {
  const input = new URL('../golden/kernel-ipv4.pcap', import.meta.url).pathname
  expect(runCommand(['decap', input, '--out', 'null']).lines.join('\n')).not.toMatch(/frames\/s|\r/)
})
