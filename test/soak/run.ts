/**
 * Faults at random beside a flood: npm run soak -- [--minutes N] [--seed S] [--rate N]     (root)
 * Two thirds of the time are one life of the collector, in which memory must stay; the rest are lives of five minutes. Each ends with
 * the accounting checked against what was sent, by kill -9, or with workers that throw until it gives up, and the next goes on in the same folders. Exit
 * code 1 when a sum is wrong, a file is broken, or memory grew. The same seed has the same faults in the same order.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { randomNumbers } from '../support/random.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { type End, live, type Surroundings, say } from './life.ts'

const LONG_LIFE = 2 / 3
const SHORT_LIFE_MINUTES = 5
const ENDS: readonly End[] = ['stopped', 'killed', 'its workers throw']
const DISK_MEBIBYTES = 48
/** Datagrams a second. */
const RATE = 30_000
const USAGE = 64

async function soak(minutes: number, seed: number, rate: number): Promise<void> {
  const random = randomNumbers(seed)
  const place = mkdtempSync(join(tmpdir(), 'soak-'))
  mkdirSync(join(place, 'folder'))
  const disks = ['one', 'two'].map((name) => new SmallDisk(join(place, name), DISK_MEBIBYTES))
  const total = { lives: 0, killed: 0, thrown: 0, faults: 0, received: 0, kernelDropped: 0, lost: 0 }
  const around: Surroundings = { place, disks, random, pace: rate / 1000, total }
  const end = performance.now() + minutes * 60_000
  try {
    await live(around, Math.max(minutes * LONG_LIFE, Math.min(minutes, SHORT_LIFE_MINUTES)), 'stopped')
    for (let left = minutesUntil(end); left > 0; left = minutesUntil(end)) {
      const how = left <= SHORT_LIFE_MINUTES ? 'stopped' : ENDS[Math.floor(random() * ENDS.length)]!
      await live(around, Math.min(left, SHORT_LIFE_MINUTES), how)
    }
  } finally {
    for (const disk of disks) disk.dispose()
    rmSync(place, { recursive: true, force: true })
  }
  say(`passed, seed ${seed}: ${JSON.stringify(total)}`)
}

function minutesUntil(end: number): number {
  return (end - performance.now()) / 60_000
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { minutes: text, seed: text, rate: text } })
  const minutes = Number(values.minutes ?? 10)
  const seed = Number(values.seed ?? Date.now() % 2 ** 31)
  const rate = Number(values.rate ?? RATE)
  if (!(minutes > 0) || !Number.isInteger(seed) || !(rate > 0)) {
    process.stderr.write('usage: npm run soak -- [--minutes N] [--seed S] [--rate DATAGRAMS-A-SECOND]\n')
    process.exit(USAGE)
  }
  say(`seed ${seed}, ${rate} datagrams a second`)
  await soak(minutes, seed, rate)
}

main().catch((error: unknown) => {
  say(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
  process.exitCode = 1
})
