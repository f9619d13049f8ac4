import { describe, expect, test } from 'vitest'
import type { FrameBatch } from '../../src/frames/frame-batch.ts'
import { requires } from '../support/requirements.ts'
import { loadCorpus } from './corpus.ts'
import { fuzzBlocks } from './fuzz-blocks.ts'
import { fuzzPipeline } from './fuzz-pipeline.ts'
import { fuzzReader } from './fuzz-reader.ts'
import { fuzzRecords } from './fuzz-records.ts'

/** Another one in each run would find more, and tests that fail now and then. `npm run fuzz` draws one. */
const SEED = 4789
const PACKETS = 200_000
const FILES = 2000
const LIMIT_MS = 120_000

const corpus = await loadCorpus()
const it = requires('libpcap')

describe('mutated packets', () => {
  it('get a verdict that depends on nothing but their bytes, and all are counted', { timeout: LIMIT_MS }, async () => {
    const ends = await fuzzPipeline({ packets: PACKETS, seed: SEED, corpus })
    // Mutants that all end at the first header would prove nothing.
    for (const reasons of Object.values(ends)) expect(reasons.delivered).toBeGreaterThan(PACKETS / 500)
    const seen = new Set(Object.values(ends).flatMap((reasons) => Object.keys(reasons)))
    for (const reason of ['short-frame', 'bad-checksum', 'fragment-reassembled', 'duplicate', 'sampled', 'filtered']) {
      expect(seen).toContain(reason)
    }
  })

  it.each<[string, (batch: FrameBatch) => void]>([
    ['reads a byte behind a frame', readBehind],
    ['writes a byte behind a frame', writeBehind],
    ['moves a frame out of its packet', (batch) => void batch.offset.fill(0, 0, 1)],
    ['loses length', (batch) => void batch.wireLength.fill(0, 0, 1)],
  ])('a pipeline that %s is found out', async (_what, sabotage) => {
    const whenThereIsOne = (batch: FrameBatch): void => {
      if (batch.count > 0 && batch.captured[0]! > 0) sabotage(batch)
    }
    await expect(fuzzPipeline({ packets: 10_000, seed: SEED, corpus, sabotage: whenThereIsOne })).rejects.toThrow(
      /setting [a-z]+, seed 4789, batch \d+: Finding/,
    )
  })
})

function readBehind(batch: FrameBatch): void {
  batch.wireLength[0]! += batch.bytes[batch.offset[0]! + batch.captured[0]!]!
}

function writeBehind(batch: FrameBatch): void {
  batch.bytes[batch.offset[0]! + batch.captured[0]!]! ^= 1
}

test('mutated capture files are read alike whatever lay in memory before', { timeout: LIMIT_MS }, async () => {
  const { read, problems } = await fuzzReader({ files: FILES, seed: SEED, corpus })
  expect(read).toBeGreaterThan(FILES)
  expect(problems).toBeGreaterThan(FILES / 10)
  expect(problems).toBeLessThan(FILES)
})

describe('mutated batches of Kafka records', () => {
  const options = { batches: 1500, seed: SEED, corpus }

  test('become frames in their window, alike whatever lay there before', { timeout: LIMIT_MS }, async () => {
    const { frames, problems } = await fuzzRecords(options)
    expect(frames).toBeGreaterThan(5 * options.batches)
    expect(problems).toBeGreaterThan(options.batches / 20)
    expect(problems).toBeLessThan(options.batches)
  })

  test.each<[string, (batch: FrameBatch) => void]>([
    ['takes a byte too many', (batch) => void batch.captured.fill(90_000, 0, 1)],
    ['reads a byte behind a frame', readBehind],
    ['loses length', (batch) => void batch.wireLength.fill(0, 0, 1)],
  ])('an unpacker that %s is found out', async (_what, sabotage) => {
    const whenThereIsOne = (batch: FrameBatch): void => {
      if (batch.count > 0 && batch.captured[0]! > 0) sabotage(batch)
    }
    await expect(fuzzRecords({ ...options, sabotage: whenThereIsOne })).rejects.toThrow(
      /seed 4789, batch of records \d+: Find/,
    )
  })
})

describe("a ring's blocks that lie", () => {
  test('give rows inside themselves, and go back to the kernel', () => {
    expect(fuzzBlocks(20_000, SEED)).toBeGreaterThan(100_000)
  })

  test.each<[string, number, number]>([
    ['in front of', -1, 0],
    ['behind', 0, 5000],
  ])('a row that reaches %s its block is found out', (_where, before, more) => {
    expect(() =>
      fuzzBlocks(100, SEED, ({ offset, captured, wireLength }) => {
        offset[0]! += 5000 * before
        captured[0]! += more
        wireLength[0]! += more
      }),
    ).toThrow(/seed 4789, block \d+: Finding: row 0 lies at/)
  })
})
