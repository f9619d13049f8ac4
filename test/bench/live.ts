import { statSync } from 'node:fs'
import type { GeneratorResult } from './generator.ts'
import type { Place } from './place.ts'
import { cpuSeconds, Program, queuedBytes, until } from './program.ts'
import { collector, type Receiver, reference } from './receivers.ts'
import { measured, type Row, type Settings } from './report.ts'
import { median } from './statistics.ts'
import { VXLAN_PORT } from './traffic.ts'

/** The search ends when the lowest rate that lost is this much above the highest that held. */
const RESOLUTION = 1.03
/** A generator that reached less than this part of the rate asked for has no more to give. */
const REACHED = 0.97
/** Frames of a run at full speed are counted out for a rate that no run here has reached. */
const FULL_SPEED_COUNT_RATE = 1_500_000
/** Compiles the receiver's loops before anything is measured. */
const WARM_UP_FRAMES = 50_000
const WARM_UP_RATE = 100_000

interface Attempt {
  /** Frames per second as sent. */
  readonly rate: number
  readonly lost: number
  /** CPU time of all the receiver's threads, per frame sent. */
  readonly cpuMicroseconds: number
  readonly seconds: number
  readonly written: number
}

export interface Highest {
  readonly rate: number
  /** Nothing was lost even at the generator's full speed. */
  readonly generatorLimited: boolean
}

/** One fresh receiver, one flood. */
export async function attempt(
  place: Place,
  receiver: Receiver,
  inner: number,
  rate: number,
  seconds: number,
): Promise<Attempt> {
  const run = await receiver.start(place)
  await flood(place, inner, WARM_UP_FRAMES, WARM_UP_RATE)
  await settled(run.pid, run.file)
  const before = cpuSeconds(run.pid)
  const count = Math.round(Math.min(rate, FULL_SPEED_COUNT_RATE) * seconds)
  const sent = await flood(place, inner, count, rate)
  await settled(run.pid, run.file)
  const cpu = cpuSeconds(run.pid) - before
  const counted = await run.stop(inner)
  const lost = sent.sent + WARM_UP_FRAMES - counted.written
  const result = {
    rate: sent.rate,
    lost,
    cpuMicroseconds: (cpu / sent.sent) * 1e6,
    seconds: sent.seconds,
    written: counted.written - WARM_UP_FRAMES,
  }
  process.stderr.write(
    `  ${receiver.name}, ${inner} bytes, ${Math.round(sent.rate / 1000)} k/s: lost ${lost} ` +
      `(kernel ${counted.kernelDropped}), ${result.cpuMicroseconds.toFixed(3)} us CPU a frame\n`,
  )
  return result
}

/** Sends `count` frames from the source host's namespace. */
export async function flood(place: Place, inner: number, count: number, rate: number): Promise<GeneratorResult> {
  const { stdout } = await generator(place, inner, count, rate).ended()
  const result = JSON.parse(stdout) as GeneratorResult
  if (result.sent !== count) throw new Error(`the generator sent ${result.sent} of ${count} frames`)
  return result
}

function generator(place: Place, inner: number, count: number, rate: number): Program {
  const script = new URL('generator.ts', import.meta.url).pathname
  const argv = [process.execPath, '--import', import.meta.resolve('tsx'), script]
  argv.push('--address', place.receiverAddress, '--inner', String(inner), '--count', String(count))
  if (Number.isFinite(rate)) argv.push('--rate', String(rate))
  return new Program(place.inSender(argv))
}

/** The socket is empty and the file has stopped growing. */
async function settled(pid: number, file: string): Promise<void> {
  await until('the receiver takes what its socket holds', () => queuedBytes(pid, VXLAN_PORT) === 0, 30)
  let size = -1
  let looks = 0
  await until(
    'the file stops growing',
    () => {
      const now = statSync(file).size
      looks = now === size ? looks + 1 : 0
      size = now
      return looks >= 5
    },
    30,
  )
}

/** Bisects between what held and what lost; a rate holds when not one frame is lost. */
async function highestRate(place: Place, receiver: Receiver, inner: number, seconds: number): Promise<Highest> {
  const full = await attempt(place, receiver, inner, Number.POSITIVE_INFINITY, seconds)
  if (full.lost === 0) return { rate: full.rate, generatorLimited: true }
  let holds = 0
  let loses = full.rate
  while (holds === 0 || loses / holds > RESOLUTION) {
    const rate = holds === 0 ? loses * 0.6 : (holds + loses) / 2
    if (rate < 1000) throw new Error(`${receiver.name} loses frames even at ${Math.round(rate)} frames/s`)
    const tried = await attempt(place, receiver, inner, rate, seconds)
    if (tried.lost > 0) loses = rate
    else holds = tried.rate
    if (tried.lost === 0 && tried.rate < rate * REACHED) return { rate: tried.rate, generatorLimited: true }
  }
  return { rate: holds, generatorLimited: false }
}

/** Highest lossless rate and CPU per frame, the collector and the C program in turn. */
export async function live(place: Place, settings: Settings): Promise<Row[]> {
  const c = reference(place)
  if (c === undefined) return [{ part: 'live', measure: 'left out: there is no gcc to build the C receiver with' }]
  const pair = settings.self ? [{ ...c, name: 'C again' }, c] : [collector, c]
  const rows: Row[] = []
  for (const inner of settings.quick ? [200] : [64, 200, 1400]) {
    rows.push(...(await compare(place, pair[0]!, pair[1]!, inner, settings)))
  }
  return rows
}

async function compare(place: Place, ours: Receiver, c: Receiver, inner: number, settings: Settings): Promise<Row[]> {
  // Not counted: the first run at a frame length finds memory that nothing has touched yet.
  await attempt(place, c, inner, Number.POSITIVE_INFINITY, settings.seconds)
  const highest: [Highest[], Highest[]] = [[], []]
  for (let i = 0; i < settings.repeats; i++) {
    highest[0].push(await highestRate(place, ours, inner, settings.seconds))
    highest[1].push(await highestRate(place, c, inner, settings.seconds))
  }
  const rates = highest.map((found) => median(found.map(({ rate }) => rate)))
  const limited = highest.map((found) => found.filter(({ generatorLimited }) => generatorLimited).length)
  const half = rates[1]! / 2
  const cpu: [number[], number[]] = [[], []]
  for (let i = 0; i < Math.max(3, settings.repeats); i++) {
    cpu[0].push((await attempt(place, ours, inner, half, settings.seconds)).cpuMicroseconds)
    cpu[1].push((await attempt(place, c, inner, half, settings.seconds)).cpuMicroseconds)
  }
  const unlimited = (limit: number): string =>
    limit > 0 ? ` (${limit} of ${settings.repeats} at the generator's limit)` : ''
  return [
    measured({
      part: 'live',
      measure: `highest rate without loss, ${inner}-byte frames`,
      ours: `${(rates[0]! / 1e6).toFixed(2)} M/s${unlimited(limited[0]!)}`,
      yardstick: `C: ${(rates[1]! / 1e6).toFixed(2)} M/s${unlimited(limited[1]!)}`,
      ratio: rates[0]! / rates[1]!,
      atLeast: 0.9,
      samples: highest,
    }),
    measured({
      part: 'live',
      measure: `CPU a frame at ${Math.round(half / 1000)} k/s, ${inner}-byte frames`,
      ours: `${median(cpu[0]).toFixed(2)} us`,
      yardstick: `C: ${median(cpu[1]).toFixed(2)} us`,
      ratio: median(cpu[0]) / median(cpu[1]),
      atMost: 1.25,
      samples: cpu,
    }),
  ]
}
