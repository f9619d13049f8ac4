import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PIECE_COMPLETED } from '../../src/frames/reassembler.ts'
import { Bench, numbered } from './pieces.ts'

interface PlannedPiece {
  readonly id: number
  readonly from: number
  readonly to: number
  readonly more: boolean
}

/** A datagram of 8 to 4000 bytes, cut at multiples of 8. */
function datagram(id: number): fc.Arbitrary<PlannedPiece[]> {
  return fc
    .tuple(fc.integer({ min: 8, max: 4000 }), fc.uniqueArray(fc.nat(500), { maxLength: 7 }))
    .map(([length, cuts]) => {
      const inside = cuts.map((cut) => cut * 8).filter((cut) => cut > 0 && cut < length)
      const borders = [0, ...inside.sort((a, b) => a - b), length]
      return borders.slice(1).map((to, i) => ({ id, from: borders[i]!, to, more: i + 2 < borders.length }))
    })
}

const DATAGRAMS = 5
const datagrams = fc.tuple(...Array.from({ length: DATAGRAMS }, (_, id) => datagram(id))).map((each) => each.flat())

function shuffled(pieces: readonly PlannedPiece[]): fc.Arbitrary<PlannedPiece[]> {
  return fc.shuffledSubarray([...pieces], { minLength: pieces.length })
}

function add(bench: Bench, piece: PlannedPiece): number {
  const { id, from, to, more } = piece
  return bench.add(numbered(4000, id).subarray(from, to), { id, offset: from, more })
}

test('datagrams cut anywhere, their pieces in any order and mixed, come out as they were', () => {
  fc.assert(
    fc.property(datagrams.chain(shuffled), (pieces) => {
      const bench = new Bench(DATAGRAMS)
      const completed = new Set<number>()
      for (const piece of pieces) {
        if (add(bench, piece) !== PIECE_COMPLETED) continue
        completed.add(piece.id)
        const length = Math.max(...pieces.filter(({ id }) => id === piece.id).map(({ to }) => to))
        expect(Buffer.compare(bench.datagram(), numbered(4000, piece.id).subarray(0, length))).toBe(0)
      }
      expect(completed.size).toBe(DATAGRAMS)
      expect(bench.counts()).toEqual({ incomplete: 0, reassembled: pieces.length - DATAGRAMS, held: 0 })
    }),
    { numRuns: 300 },
  )
})

test('with pieces missing, a datagram comes out as it was, or all its pieces count as incomplete', () => {
  const losses = datagrams.chain((pieces) => fc.tuple(fc.constant(pieces), fc.shuffledSubarray(pieces)))
  fc.assert(
    fc.property(losses, ([all, came]) => {
      const bench = new Bench(DATAGRAMS)
      for (const piece of came) add(bench, piece)
      bench.reassembler.close()
      const incomplete = came.filter(({ id }) => count(came, id) < count(all, id)).length
      const whole = new Set(all.map(({ id }) => id).filter((id) => count(came, id) === count(all, id))).size
      expect(bench.counts()).toEqual({ incomplete, reassembled: came.length - incomplete - whole, held: 0 })
    }),
    { numRuns: 300 },
  )
})

function count(pieces: readonly PlannedPiece[], id: number): number {
  return pieces.filter((piece) => piece.id === id).length
}

test('whatever comes, every piece is counted once at every moment', () => {
  const anything = fc.record({
    id: fc.nat(6),
    offset: fc.oneof(
      fc.nat(12).map((block) => block * 8),
      fc.nat(8191).map((block) => block * 8),
    ),
    length: fc.oneof(fc.constantFrom(0, 8, 16, 24), fc.nat(70_000)),
    lost: fc.nat(30),
    more: fc.boolean(),
    seconds: fc.nat(100),
    endBatch: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 60 }), (pieces) => {
      // More slots than one batch can complete, as the pipeline has it.
      const bench = new Bench(61)
      let completed = 0
      for (const [i, { length, lost, endBatch, ...settings }] of pieces.entries()) {
        const captured = Math.max(0, length - lost)
        if (bench.add(new Uint8Array(length), { ...settings, captured }) === PIECE_COMPLETED) completed++
        const { incomplete, reassembled, held } = bench.counts()
        expect(incomplete + reassembled + held + completed).toBe(i + 1)
        expect(Math.min(incomplete, reassembled, held)).toBeGreaterThanOrEqual(0)
        expect(bench.reassembler.captured).toBeLessThanOrEqual(bench.reassembler.wireLength)
        if (endBatch) bench.reassembler.endBatch()
      }
      bench.reassembler.close()
      expect(bench.counts().held).toBe(0)
    }),
    { numRuns: 100 },
  )
})
