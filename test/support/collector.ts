import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BUILT_COMMAND } from './requirements.ts'
import { until } from './waiting.ts'

const START_LIMIT_MS = 15_000

/** The accounting that --report writes when the collector ends. */
export interface Report {
  received: number
  delivered: number
  dropped: Record<string, number>
  kernelDropped: number
  vnis: Record<string, number>
  sinks: {
    sink: string
    written: number
    bytes: number
    dropped: Record<string, number>
    /** Of a sink that was not there all the time. */
    offered?: number
    segmented?: number
    segments?: number
  }[]
}

export interface CollectorOptions {
  /** Network namespace to run in. */
  readonly namespace?: string | undefined
  readonly stdout?: number | undefined
  /** Working folder, this process's own by default; its folder for temporary files, too. */
  readonly cwd?: string | undefined
  /** Whose the folder of the report is, for a collector that becomes somebody else. */
  readonly owner?: number | undefined
  /** Words in front of the command, of programs that become it: its process id stays that of the collector. */
  readonly under?: readonly string[] | undefined
}

/** The built command, run once. */
export class Collector {
  /** Standard error so far. */
  stderr = ''
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #stdout: Buffer[] = []
  readonly #exited: Promise<number | null>

  /** `stdout`: a descriptor for standard output, where the `stdout` of this class is not to gather it. */
  constructor(args: readonly string[], { namespace, stdout, cwd, owner, under = [] }: CollectorOptions = {}) {
    this.#folder = mkdtempSync(join(tmpdir(), 'collector-'))
    if (owner !== undefined) chownSync(this.#folder, owner, owner)
    const command = [...under, process.execPath, BUILT_COMMAND, ...args, '--report', this.#reportFile]
    const argv = namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command]
    this.#child = spawn(argv[0]!, argv.slice(1), {
      stdio: ['pipe', stdout ?? 'pipe', 'pipe'],
      cwd,
      env: cwd === undefined ? process.env : { ...process.env, TMPDIR: cwd },
    })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.#child.stdout?.on('data', (bytes: Buffer) => this.#stdout.push(bytes))
    this.#exited = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', resolve)
    })
    process.on('exit', this.#kill)
  }

  /** Process id of the collector itself, also inside a namespace. */
  get pid(): number {
    return this.#child.pid!
  }

  get stdin(): NodeJS.WritableStream {
    return this.#child.stdin!
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout)
  }

  /** Lines that were logged, parsed; an unfinished one is left out. */
  get log(): Record<string, unknown>[] {
    const lines = this.stderr.split('\n').slice(0, -1)
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** The ports it listens on, in the order of the `listening` line; only once it does. */
  get ports(): number[] {
    return [...this.stderr.matchAll(/:(\d+) \(/g)].map((match) => Number(match[1]))
  }

  /** Asks for the statistics with SIGUSR1 and waits for them. */
  async statistics(): Promise<Report> {
    const lines = () => this.log.filter((line) => line.msg === 'Statistics.')
    const before = lines().length
    this.#child.kill('SIGUSR1')
    await until('the statistics are logged', () => lines().length > before)
    return lines().at(-1) as unknown as Report
  }

  /** Resolves once a line of standard error contains `listening`; rejects when the process ends before. */
  async listening(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const fail = (what: string): void => reject(new Error(`the collector ${what}; standard error:\n${this.stderr}`))
      const timer = setTimeout(() => fail(`was not listening after ${START_LIMIT_MS} ms`), START_LIMIT_MS)
      const look = (): void => {
        if (!/listening.*\n/.test(this.stderr)) return
        clearTimeout(timer)
        resolve()
      }
      this.#child.stderr!.on('data', look)
      this.#child.on('close', (code) => {
        clearTimeout(timer)
        fail(`ended with ${code}`)
      })
      look()
    })
  }

  /** Waits for the end; the exit code, or null when a signal ended it. */
  async exit(): Promise<number | null> {
    const code = await this.#exited
    process.removeListener('exit', this.#kill)
    return code
  }

  /** The scheduler's state of it, such as `T` for stopped by a signal. */
  state(): string {
    return /\) (\S)/.exec(readFileSync(`/proc/${this.pid}/stat`, 'utf8'))![1]!
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal)
    return await this.exit()
  }

  /** The accounting; only after the end. */
  report(): Report {
    return JSON.parse(readFileSync(this.#reportFile, 'utf8')) as Report
  }

  /** Kills the process if it still runs and removes what this class made; for afterEach and finally. */
  async dispose(): Promise<void> {
    this.#kill()
    await this.exit()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get #reportFile(): string {
    return join(this.#folder, 'report.json')
  }

  readonly #kill = (): void => {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL')
  }
}

/** Starts the collector and waits until its sockets are open. */
export async function startCollector(args: readonly string[], options?: CollectorOptions): Promise<Collector> {
  const collector = new Collector(args, options)
  try {
    await collector.listening()
  } catch (error) {
    await collector.dispose()
    throw error
  }
  return collector
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** Every frame is in exactly one place: delivered or dropped, and for every sink written or dropped. */
export function expectBalance(report: Report): void {
  assert.equal(report.delivered + sum(report.dropped), report.received, 'delivered and dropped, received')
  for (const sink of report.sinks) {
    const offered = sink.offered ?? report.delivered
    assert.equal(sink.written + sum(sink.dropped), offered, `${sink.sink}: written and dropped, offered`)
  }
}
