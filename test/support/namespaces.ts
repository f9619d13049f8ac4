import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

const PREFIX = 'mct'
const REGISTRY = '/run/netns'
const OFFLOADS = ['rx', 'tx', 'sg', 'tso', 'gso', 'gro', 'tx-udp-segmentation']

let made = 0

/** One side of a pair: a network namespace with one Ethernet interface. */
export interface Namespace {
  readonly name: string
  readonly device: string
  readonly mac: string
  readonly ipv4: string
  readonly ipv6: string
  /** Runs a command inside and gives its standard output; throws with its standard error when it fails. */
  exec(argv: readonly string[]): string
  /** Starts a command inside; it is killed by dispose(). */
  spawn(argv: readonly string[]): ChildProcess
}

/** Two network namespaces joined by a cable (veth) with checksum and segmentation offloads off. */
export interface NamespacePair {
  readonly left: Namespace
  readonly right: Namespace
  /** Kills what was spawned inside and removes both namespaces; may be called again. */
  dispose(): void
}

function run(argv: readonly string[]): string {
  return execFileSync(argv[0]!, argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`)
}

/** Removes what a test run that was killed left behind: our prefix, and a process that is gone. */
function sweep(): void {
  if (!existsSync(REGISTRY)) return
  for (const name of readdirSync(REGISTRY)) {
    const [prefix, pid] = name.split('-')
    if (prefix === PREFIX && pid !== undefined && !isAlive(Number(pid))) run(['ip', 'netns', 'del', name])
  }
}

class Side implements Namespace {
  readonly name: string
  readonly device: string
  readonly mac: string
  readonly ipv4: string
  readonly ipv6: string
  readonly #children: ChildProcess[] = []

  constructor(name: string, host: number) {
    this.name = name
    this.device = `veth${host}`
    this.mac = `02:00:00:00:00:0${host}`
    this.ipv4 = `10.99.0.${host}`
    this.ipv6 = `fd99::${host}`
  }

  exec(argv: readonly string[]): string {
    return run(['ip', 'netns', 'exec', this.name, ...argv])
  }

  spawn(argv: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.name, ...argv], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#children.push(child)
    return child
  }

  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL')
    if (existsSync(`${REGISTRY}/${this.name}`)) run(['ip', 'netns', 'del', this.name])
  }
}

function configure(side: Side, peer: Side): void {
  const { device } = side
  const link = ['ip', 'link', 'set', 'dev', device]
  // No link-local address and static neighbours: nothing is on the cable but what a test sends.
  side.exec([...link, 'addrgenmode', 'none'])
  side.exec([...link, 'address', side.mac])
  side.exec([...link, 'up'])
  side.exec(['ip', 'link', 'set', 'dev', 'lo', 'up'])
  side.exec(['ip', 'address', 'add', `${side.ipv4}/24`, 'dev', device])
  side.exec(['ip', 'address', 'add', `${side.ipv6}/64`, 'dev', device, 'nodad'])
  for (const address of [peer.ipv4, peer.ipv6]) {
    side.exec(['ip', 'neighbour', 'replace', address, 'lladdr', peer.mac, 'dev', device, 'nud', 'permanent'])
  }
  side.exec(['ethtool', '-K', device, ...OFFLOADS.flatMap((offload) => [offload, 'off'])])
}

/** Needs root, `ip` and `ethtool`. What it makes is removed by dispose(), at the latest when this process exits. */
export function joinedNamespaces(): NamespacePair {
  sweep()
  made++
  const left = new Side(`${PREFIX}-${process.pid}-${made}a`, 1)
  const right = new Side(`${PREFIX}-${process.pid}-${made}b`, 2)
  const dispose = (): void => {
    process.removeListener('exit', dispose)
    left.remove()
    right.remove()
  }
  process.on('exit', dispose)
  try {
    for (const side of [left, right]) run(['ip', 'netns', 'add', side.name])
    const ends = [left.device, 'netns', left.name, 'type', 'veth', 'peer', 'name', right.device, 'netns', right.name]
    run(['ip', 'link', 'add', ...ends])
    configure(left, right)
    configure(right, left)
  } catch (error) {
    dispose()
    throw error
  }
  return { left, right, dispose }
}
