import { createHash, randomInt } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { HeldPieces } from '../../src/frames/held-pieces.ts'

const SLOTS = 8
const WORK_BYTES = 1 << 16
const MARGIN = 64
const KEPT = 4096

interface Piece {
  readonly slot: number
  readonly length: number
  /** What becomes of the slot's datagram behind this piece. */
  readonly end: 'waits' | 'whole' | 'lost'
}

/** Sends pieces through, and compares what is given back with what came, by second and a hash of the bytes. */
function expectKept(pieces: readonly Piece[]): { given: number; forgotten: number } {
  const memory = new SharedArrayBuffer(WORK_BYTES + HeldPieces.bytes + MARGIN)
  const batch = new FrameBatch(memory, 1)
  batch.bytes.fill(0xa5, WORK_BYTES + HeldPieces.bytes)
  const given: string[] = []
  let forgotten = 0
  const held = new HeldPieces(memory, WORK_BYTES, SLOTS, {
    add: (of, row) => void given.push(shown(of, row)),
    forgotten: (packets) => {
      forgotten += packets
    },
  })
  const waiting: string[][] = Array.from({ length: SLOTS }, () => [])
  let sum = 0
  pieces.forEach(({ slot, length, end }, number) => {
    batch.bytes.fill(number & 0xff, 0, length)
    batch.offset[0] = 0
    batch.captured[0] = length
    batch.wireLength[0] = length + 7
    batch.seconds[0] = number
    held.expect(batch, 0)
    held.keep(slot)
    waiting[slot]!.push(shown(batch, 0))
    if (end === 'waits') return
    if (end === 'whole') held.completed(slot)
    else {
      const before = forgotten
      given.length = 0
      held.gaveUp(slot, waiting[slot]!.length)
      expect(given).toEqual(waiting[slot]!.slice(forgotten - before))
      sum += given.length
    }
    waiting[slot] = []
  })
  expect(batch.bytes.subarray(WORK_BYTES + HeldPieces.bytes).every((byte) => byte === 0xa5)).toBe(true)
  return { given: sum, forgotten }
}

function shown({ bytes, ...columns }: FrameBatch, row: number): string {
  const at = columns.offset[row]!
  const content = createHash('md5').update(bytes.subarray(at, at + columns.captured[row]!))
  return `${columns.seconds[row]} ${columns.wireLength[row]} ${content.digest('hex')}`
}

test('pieces come back as they came, in their order, or are counted', () => {
  const piece = fc.record({
    slot: fc.nat(SLOTS - 1),
    length: fc.oneof(fc.nat(1500), fc.nat(65_535)),
    end: fc.constantFrom<Piece['end']>('waits', 'waits', 'waits', 'whole', 'lost'),
  })
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 600 }), (pieces) => void expectKept(pieces)),
    { numRuns: 40 },
  )
})

test('the oldest give way, by number and by bytes; of 8 MiB none that fits is forgotten', () => {
  const lone = (count: number, length: number): Piece[] =>
    Array.from({ length: count }, (_, i) => ({ slot: 0, length, end: i === count - 1 ? 'lost' : 'waits' }))
  expect(expectKept(lone(KEPT, 1))).toEqual({ given: KEPT, forgotten: 0 })
  expect(expectKept(lone(KEPT + 3, 1))).toEqual({ given: KEPT, forgotten: 3 })
  expect(expectKept(lone(128, 65_535))).toEqual({ given: 128, forgotten: 0 })
  expect(expectKept(lone(200, 65_535))).toEqual({ given: 128, forgotten: 72 })
  expect(expectKept(lone(2 * KEPT + 1, randomInt(1500)))).toMatchObject({ given: KEPT })
})
