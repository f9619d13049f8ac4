import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Collector } from '../support/collector.ts'
import { numberedDatagrams, send } from '../support/sender.ts'
import type { SmallDisk } from '../support/small-disk.ts'

/** What a fault may touch while the collector runs in a flood. */
export interface Scene {
  readonly collector: Collector
  readonly port: number
  readonly disks: readonly SmallDisk[]
  /** A folder that a sink writes to and that may be removed. */
  readonly folder: string
  readonly random: () => number
  /** Datagrams that faults have sent. */
  sent: number
}

/** Less than one thread of a loaded machine takes in that time. */
const STOPPED_MS = 300
const TROUBLE_MS = 1500
/** RFC 768, RFC 791, and VXLAN's header. */
const LONGEST_FRAME = 65_507 - 8
const ANOTHER_SENDER = '127.0.0.2'

/** Each leaves things as they were. */
export const FAULTS: ReadonlyMap<string, (scene: Scene) => Promise<void>> = new Map([
  ['disk full', diskFull],
  ['both disks full in turn', bothFull],
  ['folder removed', folderRemoved],
  ['no descriptor left', noDescriptor],
  ['SIGHUP again and again', hangUps],
  ['SIGUSR1 again and again', statistics],
  ['stopped for a moment', stopped],
  ['a sender that is not allowed', foreignSender],
  ['the longest datagrams', longDatagrams],
  ['random bytes', randomBytes],
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

async function statistics({ collector }: Scene): Promise<void> {
  for (let i = 0; i < 10; i++) await collector.statistics()
}

async function stopped({ collector, random }: Scene): Promise<void> {
  collector.kill('SIGSTOP')
  await setTimeout(STOPPED_MS * random())
  collector.kill('SIGCONT')
}

async function foreignSender(scene: Scene): Promise<void> {
  await sendTo(scene, numberedDatagrams(3000), ANOTHER_SENDER)
}

async function longDatagrams(scene: Scene): Promise<void> {
  await sendTo(scene, numberedDatagrams(60, { bytes: LONGEST_FRAME }))
}

async function randomBytes(scene: Scene): Promise<void> {
  const { random } = scene
  const one = () => Buffer.from(Array.from({ length: random() * 100 }, () => random() * 256))
  await sendTo(scene, Array.from({ length: 1000 }, one))
}

async function sendTo(scene: Scene, datagrams: readonly Uint8Array[], from?: string): Promise<void> {
  await send(datagrams, scene.port, '127.0.0.1', from)
  scene.sent += datagrams.length
}
