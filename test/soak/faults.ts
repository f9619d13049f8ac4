import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Collector } from '../support/collector.ts'
import type { FakeClock } from '../support/fake-clock.ts'
import { numberedDatagrams, numberedFrame, send, vxlan } from '../support/sender.ts'
import type { SmallDisk } from '../support/small-disk.ts'
import { until } from '../support/waiting.ts'

/** What a fault may touch while the collector runs in a flood. */
export interface Scene {
  readonly collector: Collector
  readonly port: number
  readonly disks: readonly SmallDisk[]
  /** A folder that a sink writes to and that may be removed. */
  readonly folder: string
  /** The collector's configuration, which says nothing. */
  readonly config: string
  readonly clock: FakeClock
  /** Where --http answers. */
  readonly http: string
  readonly random: () => number
  /** Datagrams that faults have sent. */
  sent: number
  /** When a worker was made to throw, by performance.now(). */
  lastDeath: number
}

/** Less than one thread of a loaded machine takes in that time. */
const STOPPED_MS = 300
const TROUBLE_MS = 1500
/** RFC 768, RFC 791, and VXLAN's header. */
const LONGEST_FRAME = 65_507 - 8
const ANOTHER_SENDER = '127.0.0.2'
const SENDERS = 100_000
const BETWEEN_DEATHS_MS = 30_000
const HOUR = 3600

/** Arguments: packets, port, first sender's address, VXLAN datagram. Each packet comes from an address of its own. */
const SPOOF = `
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
payload = bytes.fromhex(sys.argv[4])
udp = struct.pack("!HHHH", 50000, int(sys.argv[2]), 8 + len(payload), 0) + payload
for n in range(int(sys.argv[1])):
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, int(sys.argv[3]) + n, 0x7f000001)
    raw.sendto(head + udp, ("127.0.0.1", 0))
`

/** Each leaves things as they were. */
export const FAULTS: ReadonlyMap<string, (scene: Scene) => Promise<void>> = new Map([
  ['disk full', diskFull],
  ['both disks full in turn', bothFull],
  ['folder removed', folderRemoved],
  ['no descriptor left', noDescriptor],
  ['SIGHUP again and again', hangUps],
  ['SIGUSR1 again and again', statistics],
  ['a worker that throws', workerThrows],
  ['stopped for a moment', stopped],
  ['a sender that is not allowed', foreignSender],
  ['the longest datagrams', longDatagrams],
  ['random bytes', randomBytes],
  ['100 000 senders, most of them not allowed', spoofedSenders],
  ['the clock set back and forward', clockSet],
  ['configurations, good and bad', configurations],
  ['statistics asked for over HTTP', scrapes],
])

async function diskFull({ disks, random }: Scene): Promise<void> {
  const disk = disks[Math.floor(random() * disks.length)]!
  disk.fill()
  await setTimeout(TROUBLE_MS * random())
  disk.free()
}

async function bothFull({ disks }: Scene): Promise<void> {
  for (const disk of disks) {
    disk.fill()
    await setTimeout(TROUBLE_MS)
    disk.free()
  }
}

async function folderRemoved({ folder, random }: Scene): Promise<void> {
  rmSync(folder, { recursive: true })
  await setTimeout(2 * TROUBLE_MS * random())
  mkdirSync(folder)
}

async function noDescriptor({ collector }: Scene): Promise<void> {
  const limit = (files: string) => execFileSync('prlimit', ['--pid', `${collector.pid}`, `--nofile=${files}`])
  const before = execFileSync('prlimit', ['--pid', `${collector.pid}`, '--nofile', '--output', 'SOFT', '--noheadings'])
  const used = new Set(readdirSync(`/proc/${collector.pid}/fd`).map(Number))
  let free = 0
  while (used.has(free)) free++
  limit(`${free}:`)
  await setTimeout(TROUBLE_MS)
  limit(`${before.toString().trim()}:`)
}

async function hangUps({ collector }: Scene): Promise<void> {
  for (let i = 0; i < 20; i++) {
    collector.kill('SIGHUP')
    await setTimeout(100)
  }
}

/** Bad ones are refused. In the end all is let in again. */
async function configurations({ collector, config }: Scene): Promise<void> {
  for (const text of ['vni: "!100"', 'vnii: 100', 'filter: "not ip"', ': {', 'allow-from: 127.0.0.3', '{}']) {
    writeFileSync(config, `${text}\n`)
    collector.kill('SIGHUP')
    await setTimeout(TROUBLE_MS / 5)
  }
}

async function scrapes({ http, random }: Scene): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const path = ['metrics', 'report', 'live', '', 'nothing'][Math.floor(random() * 5)]!
    await (await fetch(`${http}${path}`)).arrayBuffer()
  }
}

async function clockSet({ clock, random }: Scene): Promise<void> {
  for (const direction of [1, -1]) {
    clock.set(Math.floor(direction * HOUR * (random() + 0.01)))
    await setTimeout(TROUBLE_MS)
  }
  clock.set(0)
}

/** Its successor takes over. Five deaths in a minute would end the program, and a successor may just be hit, too: not again within half a minute. */
async function workerThrows(scene: Scene): Promise<void> {
  const { collector } = scene
  if (performance.now() - scene.lastDeath < BETWEEN_DEATHS_MS) return
  scene.lastDeath = performance.now()
  const deaths = () => collector.stderr.split('died and is started again').length
  const before = deaths()
  const strace = traceReceiving(collector.pid)
  const traced = once(strace, 'close')
  await until('the worker has died', () => deaths() > before)
  strace.kill()
  await traced
  const { received } = await collector.statistics()
  // Before, it loads its modules: without a descriptor for them it would die again and again.
  await until('its successor receives', async () => (await collector.statistics()).received > received)
}

/** Each receive call of every thread fails until this is ended. */
export function traceReceiving(pid: number): ChildProcess {
  const fault = ['-e', 'trace=recvmmsg', '-e', 'inject=recvmmsg:error=EIO']
  return spawn('strace', ['-f', '-q', '-o', '/dev/null', ...fault, '-p', `${pid}`])
}

async function statistics({ collector }: Scene): Promise<void> {
  for (let i = 0; i < 10; i++) await collector.statistics()
}

async function stopped({ collector, random }: Scene): Promise<void> {
  collector.kill('SIGSTOP')
  await setTimeout(STOPPED_MS * random())
  collector.kill('SIGCONT')
}

async function foreignSender(scene: Scene): Promise<void> {
  await sendTo(scene, numberedDatagrams(20_000), ANOTHER_SENDER)
}

async function longDatagrams(scene: Scene): Promise<void> {
  await sendTo(scene, numberedDatagrams(60, { bytes: LONGEST_FRAME }))
}

async function randomBytes(scene: Scene): Promise<void> {
  const { random } = scene
  const one = () => Buffer.from(Array.from({ length: random() * 100 }, () => random() * 256))
  await sendTo(scene, Array.from({ length: 1000 }, one))
}

/** Anywhere in 127.0.0.0/8, all of which is this machine. */
async function spoofedSenders(scene: Scene): Promise<void> {
  const first = 0x7f01_0000 + Math.floor(scene.random() * 0xf0_0000)
  const datagram = vxlan(9, numberedFrame(0)).toString('hex')
  await promisify(execFile)('python3', ['-c', SPOOF, `${SENDERS}`, `${scene.port}`, `${first}`, datagram])
  scene.sent += SENDERS
}

async function sendTo(scene: Scene, datagrams: readonly Uint8Array[], from?: string): Promise<void> {
  await send(datagrams, scene.port, '127.0.0.1', from)
  scene.sent += datagrams.length
}
