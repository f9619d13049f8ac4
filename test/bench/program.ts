import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { atEnd } from './cleanup.ts'

export interface Ended {
  readonly stdout: string
  readonly stderr: string
}

/** Where this variable is set, Node reads certificates at its start: 35 ms that say nothing of us. */
const { NODE_EXTRA_CA_CERTS: _, ...ENVIRONMENT } = process.env

/** A program that the benchmark started, in a process group of its own, ended with the benchmark if not before. */
export class Program {
  readonly name: string
  readonly #child: ChildProcess
  readonly #ended: Promise<Ended>
  #stdout = ''
  #stderr = ''
  #onStderr: () => void = () => {}

  constructor(argv: readonly string[]) {
    const [file, ...args] = argv
    this.name = argv.join(' ')
    this.#child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: ENVIRONMENT })
    const kill = atEnd(() => this.#signal('SIGKILL'))
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#onStderr()
    })
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        kill()
        if (code === 0) resolve({ stdout: this.#stdout, stderr: this.#stderr })
        else reject(new Error(`${this.name}: ended with ${code ?? signal}\n${this.#stderr.slice(-2000)}`))
      })
    })
    // Whoever never asks for the end must not turn a kill at clean-up into an unhandled rejection.
    this.#ended.catch(() => {})
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name}: not started`)
    return this.#child.pid
  }

  /** Standard output so far. */
  get stdout(): string {
    return this.#stdout
  }

  /** Resolves when a whole line of standard error contains `text`; rejects when the program ends before. */
  async says(text: string): Promise<void> {
    const said = new Promise<boolean>((resolve) => {
      this.#onStderr = () => {
        const at = this.#stderr.indexOf(text)
        if (at >= 0 && this.#stderr.includes('\n', at)) resolve(true)
      }
      this.#onStderr()
    })
    if (!(await Promise.race([said, this.#ended.then(() => false)])))
      throw new Error(`${this.name}: ended without saying "${text}"\n${this.#stderr}`)
  }

  /** Resolves at exit code 0, rejects at any other end. */
  ended(): Promise<Ended> {
    return this.#ended
  }

  stop(): Promise<Ended> {
    this.#signal('SIGTERM')
    return this.#ended
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return
    process.kill(-this.#child.pid, signal)
  }
}

/** CPU time of all threads so far, in seconds, exact to the nanosecond (Linux: schedstat; stat counts ticks only). */
export function cpuSeconds(pid: number): number {
  let nanoseconds = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  }
  return nanoseconds / 1e9
}

/** Resident memory now and its highest so far, in bytes. */
export function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const bytes = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)![1]) * 1024
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') }
}

/** Bytes that wait in the receive queues of a UDP port, as the process's network namespace sees it. */
export function queuedBytes(pid: number, port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  let bytes = 0
  for (const table of ['udp', 'udp6']) {
    for (const line of readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(suffix)) bytes += Number.parseInt(fields[4]!.split(':')[1]!, 16)
    }
  }
  return bytes
}

/** Looks every 10 ms until `holds`; gives up after `seconds`. */
export async function until(what: string, holds: () => boolean, seconds: number): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
