import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import { CommandError, runCommand } from '../sender/commands.ts'

const PREFIX = 'mirror-demo'
const REGISTRY = '/run/netns'
const PATIENCE_MS = 3000
const READY_MS = 15_000

export const SOURCE = { address: '10.98.0.1', underlay: '10.99.0.1', device: 'eth0' } as const
export const WEB = { address: '10.98.0.2' } as const
export const COLLECTOR = { address: '10.99.0.2' } as const

/** Three hosts, each a network namespace: a source, a web server that it talks to, and a collector on a network of its own. */
export class DemoHosts {
  readonly source: string
  readonly web: string
  readonly collector: string
  /** For files; removed with the hosts. */
  readonly folder: string
  readonly #children: ChildProcess[] = []

  constructor() {
    const name = `${PREFIX}-${process.pid}`
    this.source = `${name}-source`
    this.web = `${name}-web`
    this.collector = `${name}-collector`
    this.folder = mkdtempSync(join(tmpdir(), `${PREFIX}-`))
  }

  /** Makes the hosts and the two cables between them. */
  async make(): Promise<void> {
    await sweep()
    for (const host of [this.source, this.web, this.collector]) {
      await runCommand(['ip', 'netns', 'add', host])
      await runCommand(['ip', '-n', host, 'link', 'set', 'lo', 'up'])
    }
    await this.#cable([this.source, SOURCE.device, SOURCE.address], [this.web, 'eth0', WEB.address])
    await this.#cable([this.source, 'eth1', SOURCE.underlay], [this.collector, 'eth0', COLLECTOR.address])
  }

  /** Runs a command on a host to its end and gives its standard output. */
  run(host: string, ...argv: string[]): Promise<string> {
    return runCommand(['ip', 'netns', 'exec', host, ...argv])
  }

  /** Starts a command on a host, and resolves once a line of its standard error has `word`, with that line. */
  async start(
    host: string,
    word: string,
    argv: readonly string[],
    signal: AbortSignal,
  ): Promise<[ChildProcess, string]> {
    // In a session of its own: Ctrl-C is for the demo, which ends what it started in order.
    const child = spawn('ip', ['netns', 'exec', host, ...argv], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#children.push(child)
    const said = await lineWith(child, word, AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]))
    signal.throwIfAborted()
    if (said === undefined) throw new Failure(EXIT_UNAVAILABLE, `"${argv.join(' ')}" did not start.`, 'Try it by hand.')
    return [child, said]
  }

  /** Ends a command with `signal`, and waits for it. */
  async stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    if ((await Promise.race([exited, setTimeout(PATIENCE_MS, undefined, { ref: false })])) !== undefined) return
    child.kill('SIGKILL')
    await exited
  }

  /** Ends what runs and removes what was made, whatever of it is there. */
  async remove(): Promise<void> {
    for (const child of this.#children) await this.stop(child, 'SIGTERM')
    for (const host of [this.source, this.web, this.collector]) await removeNamespace(host)
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #cable(...ends: readonly [readonly string[], readonly string[]]): Promise<void> {
    const [[near = '', nearDevice = ''], [far = '', farDevice = '']] = ends
    const [left, right] = [
      [nearDevice, 'netns', near],
      ['name', farDevice, 'netns', far],
    ]
    await runCommand(['ip', 'link', 'add', ...left, 'type', 'veth', 'peer', ...right])
    for (const [host = '', device = '', address = ''] of ends) {
      // No IPv6 address of its own accord: nothing is on the cable but what the demo sends.
      await runCommand(['ip', '-n', host, 'link', 'set', device, 'addrgenmode', 'none'])
      await runCommand(['ip', '-n', host, 'address', 'add', `${address}/24`, 'dev', device])
      // Otherwise copies and originals differ: checksums are left to hardware that a virtual cable does not have.
      await this.run(host, 'ethtool', '-K', device, 'tx', 'off')
      await runCommand(['ip', '-n', host, 'link', 'set', device, 'up'])
    }
  }
}

/** Removes what a demo that was killed left. */
async function sweep(): Promise<void> {
  if (!existsSync(REGISTRY)) return
  for (const name of readdirSync(REGISTRY)) {
    const [, pid] = /^mirror-demo-(\d+)-/.exec(name) ?? []
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    for (const orphan of (await runCommand(['ip', 'netns', 'pids', name])).split('\n').filter(Boolean)) {
      process.kill(Number(orphan), 'SIGKILL')
    }
    await removeNamespace(name)
  }
}

async function removeNamespace(name: string): Promise<void> {
  if (!existsSync(`${REGISTRY}/${name}`)) return
  try {
    await runCommand(['ip', 'netns', 'del', name])
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw new Failure(EXIT_UNAVAILABLE, `${error.message}.`, `Remove it by hand: ip netns del ${name}.`)
  }
}

function lineWith(child: ChildProcess, word: string, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = ''
    const end = (): void => resolve(undefined)
    child.once('error', end)
    child.once('exit', end)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      text += part
      const line = text.split('\n').find((each) => each.includes(word))
      if (line !== undefined) resolve(line)
    })
  })
}
