import type { PacketColumns } from './reader-window.ts'

const NANOSECONDS_PER_SECOND = 1e9
const MAX_UINT32 = 0xffff_ffff
const TWO_32 = 2 ** 32
const TWO_16 = 2 ** 16
const POWER_OF_TWO = 0x80

/**
 * Turns a pcapng interface's 64-bit time stamps into seconds and nanoseconds, exactly (rounding down) and without BigInt:
 * long division with digits of 16 bits, of which no step exceeds the 53 bits a double holds.
 */
export interface TimeScale {
  /** Writes the time `high * 2^32 + low` units after the interface's offset into one row. */
  fill(high: number, low: number, columns: PacketColumns, row: number): void
}

/**
 * if_tsresol: its top bit chooses powers of 2 or of 10, the rest is the negated exponent.
 * offsetSeconds: if_tsoffset.
 */
export function timeScale(resolution: number, offsetSeconds: number): TimeScale {
  const exponent = resolution & ~POWER_OF_TWO
  return resolution & POWER_OF_TWO
    ? new BinaryScale(exponent, offsetSeconds)
    : new DecimalScale(exponent, offsetSeconds)
}

function clip(seconds: number): number {
  return Math.min(MAX_UINT32, Math.max(0, seconds))
}

class DecimalScale implements TimeScale {
  readonly #offsetSeconds: number
  /** What units finer than a nanosecond are divided by first, in steps that leave 16 bits free in a double. */
  readonly #reductions: number[] = []
  readonly #unitsPerSecond: number
  readonly #nanosecondsPerUnit: number

  constructor(exponent: number, offsetSeconds: number) {
    this.#offsetSeconds = offsetSeconds
    for (let finer = exponent - 9; finer > 0; finer -= 10) this.#reductions.push(10 ** Math.min(10, finer))
    this.#unitsPerSecond = 10 ** Math.min(9, exponent)
    this.#nanosecondsPerUnit = NANOSECONDS_PER_SECOND / this.#unitsPerSecond
  }

  fill(high: number, low: number, columns: PacketColumns, row: number): void {
    let upper = high
    let lower = low
    for (let i = 0; i < this.#reductions.length; i++) {
      const divisor = this.#reductions[i]!
      const quotient = Math.floor(upper / divisor)
      const middle = (upper - quotient * divisor) * TWO_16 + (lower >>> 16)
      const middleQuotient = Math.floor(middle / divisor)
      const rest = (middle - middleQuotient * divisor) * TWO_16 + (lower & 0xffff)
      upper = quotient
      lower = middleQuotient * TWO_16 + Math.floor(rest / divisor)
    }
    // Remainders by multiplication: `%` of doubles is a library call, ten times slower.
    const units = this.#unitsPerSecond
    const quotient = Math.floor(upper / units)
    const middle = (upper - quotient * units) * TWO_16 + (lower >>> 16)
    const middleQuotient = Math.floor(middle / units)
    const rest = (middle - middleQuotient * units) * TWO_16 + (lower & 0xffff)
    const restQuotient = Math.floor(rest / units)
    columns.seconds[row] = clip(quotient * TWO_32 + middleQuotient * TWO_16 + restQuotient + this.#offsetSeconds)
    columns.nanoseconds[row] = (rest - restQuotient * units) * this.#nanosecondsPerUnit
  }
}

class BinaryScale implements TimeScale {
  readonly #offsetSeconds: number
  readonly #exponent: number

  constructor(exponent: number, offsetSeconds: number) {
    this.#exponent = exponent
    this.#offsetSeconds = offsetSeconds
  }

  fill(high: number, low: number, columns: PacketColumns, row: number): void {
    const bits = this.#exponent
    // The binary point moves to between `seconds` and the 64 bits of fractionHigh and fractionLow.
    let seconds = 0
    let fractionHigh = high
    let fractionLow = low
    if (bits === 0) {
      seconds = high * TWO_32 + low
      fractionHigh = 0
      fractionLow = 0
    } else if (bits < 32) {
      seconds = high * 2 ** (32 - bits) + (low >>> bits)
      fractionHigh = (low << (32 - bits)) >>> 0
      fractionLow = 0
    } else if (bits === 32) {
      seconds = high
      fractionHigh = low
      fractionLow = 0
    } else if (bits < 64) {
      seconds = high >>> (bits - 32)
      fractionHigh = ((high << (64 - bits)) | (low >>> (bits - 32))) >>> 0
      fractionLow = (low << (64 - bits)) >>> 0
    }
    const finer = 2 ** Math.max(0, bits - 64)
    columns.seconds[row] = clip(seconds + this.#offsetSeconds)
    columns.nanoseconds[row] = Math.floor(nanosecondsOf(fractionHigh, fractionLow) / finer)
  }
}

/** floor(fraction * 10^9 / 2^64), digit by digit from the lowest. */
function nanosecondsOf(fractionHigh: number, fractionLow: number): number {
  let carry = Math.floor(((fractionLow & 0xffff) * NANOSECONDS_PER_SECOND) / TWO_16)
  carry = Math.floor(((fractionLow >>> 16) * NANOSECONDS_PER_SECOND + carry) / TWO_16)
  carry = Math.floor(((fractionHigh & 0xffff) * NANOSECONDS_PER_SECOND + carry) / TWO_16)
  return Math.floor(((fractionHigh >>> 16) * NANOSECONDS_PER_SECOND + carry) / TWO_16)
}
