/** When a file gives way to the next; both limits may be set. */
export interface Rotation {
  /** A file never exceeds this, unless a single record does. Counted before compression. */
  readonly bytes?: number
  /** Files end at multiples of this in local time: 3600 on the hour, 86400 at midnight. */
  readonly seconds?: number
}

/** Whole seconds since 1970, from `start` up to but without `end`. */
export interface Interval {
  readonly start: number
  readonly end: number
}

/** The interval without boundaries. */
export const ALWAYS: Interval = { start: Number.NEGATIVE_INFINITY, end: Number.POSITIVE_INFINITY }

export function isRotating(rotation: Rotation): boolean {
  return rotation.bytes !== undefined || rotation.seconds !== undefined
}

/** Returns `rotation` if it can be kept to. */
export function checkedRotation(rotation: Rotation): Rotation {
  const { bytes, seconds } = rotation
  if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes > 0)) {
    throw new RangeError(`Rotation at ${bytes} bytes is not possible.\nGive a whole number above 0.`)
  }
  if (seconds !== undefined && !(Number.isSafeInteger(seconds) && seconds > 0)) {
    throw new RangeError(`Rotation every ${seconds} seconds is not possible.\nGive a whole number above 0.`)
  }
  return rotation
}

/**
 * The interval of the local clock that contains `second`, its boundaries at multiples of `length` counted from local midnight of
 * 1 January 1970. A change to or from daylight saving time makes the interval it falls into longer or shorter.
 */
export function intervalAt(second: number, length: number): Interval {
  const offset = offsetAt(second)
  const start = Math.floor((second + offset) / length) * length - offset
  return {
    start: onBoundary(start, offset, length, second, -1),
    end: onBoundary(start + length, offset, length, second, 1),
  }
}

/**
 * `boundary` was computed with the offset at `second`. Where the clock changed in between and local time at `boundary` is no multiple
 * of `length`, it moves by the change, unless that takes it to the other side of `second` (the multiple was skipped by the clock).
 */
function onBoundary(boundary: number, offset: number, length: number, second: number, side: 1 | -1): number {
  const there = offsetAt(boundary)
  if (there === offset || (boundary + there) % length === 0) return boundary
  const moved = boundary + offset - there
  const stillOutside = side > 0 ? moved > second : moved <= second
  return stillOutside ? moved : boundary
}

/** Local time minus UTC, in seconds. */
function offsetAt(second: number): number {
  return -new Date(second * 1000).getTimezoneOffset() * 60
}
