import { readFileSync, statSync } from 'node:fs'
import { isatty } from 'node:tty'
import { allDropped } from '../telemetry/history.ts'
import type { Snapshot } from '../telemetry/snapshot.ts'
import { showStatus } from './logger.ts'

const STANDARD_ERROR = 2
const EVERY_MS = 1000
const SMALLEST_WIDTH = 20
const DEFAULT_WIDTH = 80

/**
 * One line on the terminal that lives while the program runs: rate, losses, what the first sink has written; for a file
 * how much of it is done, and how long the rest will take. Nothing where standard error is no terminal.
 */
export class StatusLine {
  readonly #snapshot: () => Snapshot
  /** Size of the input file; undefined = there is none. */
  readonly #inputSize: number | undefined
  readonly #timer: NodeJS.Timeout
  readonly #began: number = performance.now()
  #last: Snapshot
  #lastClock: number = performance.now()

  private constructor(snapshot: () => Snapshot, inputSize: number | undefined) {
    this.#snapshot = snapshot
    this.#inputSize = inputSize
    this.#last = snapshot()
    this.#timer = setInterval(() => this.#draw(), EVERY_MS)
  }

  /** `input`: the capture file that is read, if one is. Returns undefined where a line would disturb. */
  static open(snapshot: () => Snapshot, input: string | undefined): StatusLine | undefined {
    if (!isatty(STANDARD_ERROR) || process.env.TERM === 'dumb') return undefined
    return new StatusLine(snapshot, input === undefined ? undefined : sizeOf(input))
  }

  close(): void {
    clearInterval(this.#timer)
    showStatus('')
  }

  #draw(): void {
    const now = this.#snapshot()
    const clock = performance.now()
    const milliseconds = clock - this.#lastClock
    const texts = this.#inputSize === undefined ? [] : [progress(now.inputBytes, this.#inputSize, clock - this.#began)]
    const text = [...texts, ...figures(this.#last, now, milliseconds)].join('  ')
    this.#last = now
    this.#lastClock = clock
    const columns = Math.max(process.stderr.columns || DEFAULT_WIDTH, SMALLEST_WIDTH)
    showStatus(isInForeground() ? text.slice(0, columns - 1) : '')
  }
}

function figures(before: Snapshot, now: Snapshot, milliseconds: number): string[] {
  const rate = ((now.report.delivered - before.report.delivered) * 1000) / milliseconds
  const bits = ((now.deliveredBytes - before.deliveredBytes) * 8000) / milliseconds
  const lost = allDropped(now.report)
  const [sink] = now.report.sinks
  const unwritten = (sink?.dropped['sink-overflow'] ?? 0) + (sink?.dropped['sink-error'] ?? 0)
  return [
    `${Math.round(rate)} frames/s`,
    withUnit(bits, 'bit/s'),
    `${now.report.delivered} frames`,
    `${lost} dropped`,
    ...(sink === undefined
      ? []
      : [`${sink.sink} ${withUnit(sink.bytes, 'B')}${unwritten > 0 ? `, ${unwritten} lost` : ''}`]),
  ]
}

/** "42 %, 1:05 left". */
function progress(done: number, size: number, milliseconds: number): string {
  const part = Math.min(done / size, 1)
  if (done === 0) return '0 %'
  const seconds = Math.round((milliseconds / 1000) * (1 / part - 1))
  const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
  return `${Math.floor(part * 100)} %, ${left} left`
}

/** With a factor of a thousand: "12.3 kB". */
function withUnit(value: number, name: string): string {
  const units = ['', 'k', 'M', 'G', 'T']
  let scaled = value
  let unit = 0
  while (scaled >= 999.95 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  return `${unit === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}${name}`
}

/** Undefined for pipes and whatever else has no size to reach. */
function sizeOf(path: string): number | undefined {
  const stat = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false })
  return stat?.isFile() && stat.size > 0 ? stat.size : undefined
}

/** A job in the background keeps silent: another program has the terminal (proc(5): field 5 is pgrp, field 8 tpgid). */
function isInForeground(): boolean {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[2] === fields[5]
  } catch {
    return true
  }
}
