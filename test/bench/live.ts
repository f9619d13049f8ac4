import type { GeneratorResult } from './generator.ts'
import type { Place } from './place.ts'
import { cpuSeconds, Program, queuedBytes, until } from './program.ts'
import { collector, PCAP_RECORD_HEADER_BYTES, type Receiver, type Run, reference } from './receivers.ts'
import { measured, type Row, type Settings } from './report.ts'
import { median } from './statistics.ts'
import { VXLAN_PORT } from './traffic.ts'

/** The search ends when the lowest rate that lost is this much above the highest that held. */
const RESOLUTION = 1.05
/** A generator that reached less than this part of the rate asked for has no more to give. */
const REACHED = 0.97
/** Attempts at a rate that loses frames, or that the generator does not reach. */
const TRIES = 2
const LOWEST_RATE = 1000
/** Frames of a run at full speed are counted out for a rate that no run here has reached. */
export const FULL_SPEED_COUNT_RATE = 1_500_000
/** Compiles the receiver's loops before anything is measured: after 50 000 frames V8's compiler still took 25 ns of each that followed. */
const WARM_UP_FRAMES = 300_000
/** As much as node:dgram takes without a loss. */
const WARM_UP_RATE = 100_000

interface Attempt {
  /** Frames per second as sent. */
  readonly rate: number
  readonly lost: number
  /** CPU time of all the receiver's threads, per frame written. */
  readonly cpuMicroseconds: number
  readonly seconds: number
  readonly written: number
}

export interface Highest {
  readonly rate: number
  /** Nothing was lost at the most that the generator reached. */
  readonly generatorLimited: boolean
}

/** One fresh receiver, one flood. `warmUpSeconds`: at the rate that is measured, beforehand, where there is such a rate. */
export async function attempt(
  place: Place,
  receiver: Receiver,
  inner: number,
  rate: number,
  seconds: number,
  warmUpSeconds = 0,
): Promise<Attempt> {
  const count = Math.round(Math.min(rate, FULL_SPEED_COUNT_RATE) * seconds)
  const run = await receiver.start(place)
  const even = Number.isFinite(rate) ? Math.round(rate * warmUpSeconds) : 0
  const warmUp = WARM_UP_FRAMES + even
  if (run.isFile) place.pages.hold((count + warmUp) * (inner + PCAP_RECORD_HEADER_BYTES))
  const fed = (flooding: Promise<GeneratorResult>) => (run.isFile ? place.pages.feed(run.size, flooding) : flooding)
  await fed(flood(place, inner, WARM_UP_FRAMES, WARM_UP_RATE))
  if (even > 0) await fed(flood(place, inner, even, rate))
  await settled(run)
  const before = cpuSeconds(run.pid)
  const sent = await fed(flood(place, inner, count, rate))
  await settled(run)
  const cpu = cpuSeconds(run.pid) - before
  const counted = await run.stop(inner)
  const lost = sent.sent + warmUp - counted.written
  const written = counted.written - warmUp
  const result = { rate: sent.rate, lost, cpuMicroseconds: (cpu / written) * 1e6, seconds: sent.seconds, written }
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

/** The socket is empty and what is written has stopped growing. */
async function settled({ pid, size: sizeNow }: Run): Promise<void> {
  await until('the receiver takes what its socket holds', () => queuedBytes(pid, VXLAN_PORT) === 0, 30)
  let size = -1
  let looks = 0
  await until(
    'no more is written',
    () => {
      const now = sizeNow()
      looks = now === size ? looks + 1 : 0
      size = now
      return looks >= 5
    },
    30,
  )
}

/** Bisects between what held and what lost, from a ceiling down. */
class RateSearch {
  readonly #ceiling: number
  #next: number
  #holds = 0
  #loses: number
  #tries = 0
  #generatorLimited = false

  constructor(ceiling: number) {
    this.#ceiling = ceiling
    this.#next = ceiling
    this.#loses = ceiling
  }

  /** The rate to try next; undefined when the search has ended. */
  get next(): number | undefined {
    if (this.#generatorLimited) return undefined
    return this.#holds > 0 && this.#loses / this.#holds <= RESOLUTION ? undefined : this.#next
  }

  get found(): Highest {
    return { rate: this.#holds, generatorLimited: this.#generatorLimited }
  }

  judge(tried: Attempt): void {
    const short = tried.rate < this.#next * REACHED
    // Whatever else ran for a moment may have held up either side, so the last of several tries decides.
    this.#tries++
    if ((tried.lost > 0 || short) && this.#tries < TRIES) return
    this.#tries = 0
    if (tried.lost > 0) {
      this.#loses = this.#next
    } else {
      this.#holds = tried.rate
      this.#generatorLimited = short || this.#next === this.#ceiling
    }
    this.#next = this.#holds === 0 ? this.#loses * 0.6 : (this.#holds + this.#loses) / 2
    if (this.#next < LOWEST_RATE) throw new Error(`frames are lost even at ${Math.round(this.#loses)} frames/s`)
  }
}

/** One search for each receiver, attempt by attempt in turn, so that both meet the same moments of the machine. */
async function highestRates(
  place: Place,
  receivers: readonly Receiver[],
  inner: number,
  ceiling: number,
  seconds: number,
): Promise<Highest[]> {
  const searches = receivers.map(() => new RateSearch(ceiling))
  while (searches.some(({ next }) => next !== undefined)) {
    for (const [i, search] of searches.entries()) {
      if (search.next !== undefined) search.judge(await attempt(place, receivers[i]!, inner, search.next, seconds))
    }
  }
  return searches.map(({ found }) => found)
}

/** Highest lossless rate and CPU per frame, the collector and the C program in turn. */
export async function live(place: Place, settings: Settings): Promise<Row[]> {
  const c = reference(place)
  if (c === undefined) return [{ part: 'live', measure: 'left out: there is no gcc to build the C receiver with' }]
  const pair = settings.self ? [{ ...c, name: 'C again' }, c] : [collector, c]
  const rows: Row[] = []
  for (const inner of settings.quick ? [200] : [64, 200, 1400]) {
    rows.push(...(await compare('live', place, pair[0]!, pair[1]!, inner, settings)))
  }
  return rows
}

export async function compare(
  part: string,
  place: Place,
  ours: Receiver,
  c: Receiver,
  inner: number,
  settings: Settings,
): Promise<Row[]> {
  const pair = [ours, c] as const
  // These also touch the memory that the files need: the kernel takes longer to hand out a page for the first time.
  let ceiling = 0
  for (const receiver of pair) {
    const full = await attempt(place, receiver, inner, Number.POSITIVE_INFINITY, settings.seconds)
    ceiling = Math.max(ceiling, full.rate)
  }
  const highest: Highest[][] = []
  for (let i = 0; i < settings.repeats; i++) {
    highest.push(await highestRates(place, pair, inner, ceiling, settings.seconds))
  }
  const half = median(highest.map(([, found]) => found!.rate)) / 2
  const fixed: Attempt[][] = []
  for (let i = 0; i < Math.max(3, settings.repeats); i++) {
    const turn: Attempt[] = []
    for (const receiver of pair) turn.push(await attempt(place, receiver, inner, half, settings.seconds))
    fixed.push(turn)
  }
  return [rateRow(part, inner, highest), cpuRow(part, inner, half, fixed)]
}

/** `highest`: for each repeat what was found for ours and for C. */
function rateRow(part: string, inner: number, highest: readonly Highest[][]): Row {
  const rates = [0, 1].map((which) => median(highest.map((found) => found[which]!.rate)))
  const shown = [0, 1].map((which) => {
    const limited = highest.filter((found) => found[which]!.generatorLimited).length
    const note = limited > 0 ? ` (${limited} of ${highest.length} at the generator's limit)` : ''
    return `${(rates[which]! / 1e6).toFixed(2)} M/s${note}`
  })
  return measured({
    part,
    measure: `highest rate without loss, ${inner}-byte frames`,
    ours: shown[0]!,
    yardstick: `C: ${shown[1]}`,
    ratio: rates[0]! / rates[1]!,
    atLeast: 0.9,
    samples: highest,
  })
}

/** `fixed`: for each repeat an attempt of ours and one of C. */
function cpuRow(part: string, inner: number, rate: number, fixed: readonly Attempt[][]): Row {
  const cpu = [0, 1].map((which) => median(fixed.map((turn) => turn[which]!.cpuMicroseconds)))
  const lost = fixed.flat().reduce((sum, attempt) => sum + attempt.lost, 0)
  return measured({
    part,
    measure: `CPU a frame at ${Math.round(rate / 1000)} k/s, ${inner}-byte frames${lost > 0 ? `, ${lost} lost` : ''}`,
    ours: `${cpu[0]!.toFixed(2)} us`,
    yardstick: `C: ${cpu[1]!.toFixed(2)} us`,
    ratio: cpu[0]! / cpu[1]!,
    atMost: 1.25,
    samples: fixed,
  })
}
