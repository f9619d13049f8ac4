import { expect, it } from 'vitest'
import { HOLD_MS, holdBack } from '../../src/pipeline/hold-back.ts'
import type { FrameSink } from '../../src/sinks/sink.ts'
import type { Source } from '../../src/sources/source.ts'

/** A sink that has room after so many waits. */
class Sink implements FrameSink {
  waits = 0
  readonly #needed: number

  constructor(needed: number) {
    this.#needed = needed
  }

  hasRoomFor(): boolean {
    return this.waits >= this.#needed
  }

  waitForRoom(milliseconds: number): void {
    this.waits++
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
  }

  write(): void {}
  flush(): void {}
  close(): void {}
}

/** A source that has room for so many looks. */
function source(looks: number): Source {
  let left = looks
  const nothing = { description: [], warnings: [], receive: () => 0, kernelDrops: () => 0, close: () => {} }
  return { ...nothing, hasRoom: () => left-- > 0 }
}

it('waits until the sink has room', () => {
  const sink = new Sink(5)
  holdBack(sink, source(Number.POSITIVE_INFINITY))
  expect(sink.waits).toBe(5)
})

it('does not wait for a sink that has room', () => {
  const sink = new Sink(0)
  holdBack(sink, source(Number.POSITIVE_INFINITY))
  expect(sink.waits).toBe(0)
})

it('waits no longer than the source has room', () => {
  const sink = new Sink(Number.POSITIVE_INFINITY)
  holdBack(sink, source(3))
  expect(sink.waits).toBe(3)
})

it('waits for a while, and no longer', () => {
  const sink = new Sink(Number.POSITIVE_INFINITY)
  const start = performance.now()
  holdBack(sink, source(Number.POSITIVE_INFINITY))
  const took = performance.now() - start
  expect(took).toBeGreaterThanOrEqual(HOLD_MS)
  expect(took).toBeLessThan(HOLD_MS + 2000)
})

it('waits for nobody where there are several sinks, or the source never has room', () => {
  const sink = new Sink(Number.POSITIVE_INFINITY)
  const { hasRoom: _, ...deaf } = source(0)
  holdBack(sink, deaf)
  holdBack(undefined, source(Number.POSITIVE_INFINITY))
  expect(sink.waits).toBe(0)
})
