import { expect, test } from 'vitest'
import { isUnwanted, VERDICTS } from '../../src/wire/verdict.ts'

test('a new reason says whether its packets are refused, and kept by --quarantine, or were just not wanted', () => {
  const kept = VERDICTS.filter((_, verdict) => !isUnwanted(verdict))
  expect(kept).toEqual([
    'ok',
    'short-header',
    'bad-flags',
    'bad-outer',
    'unknown-encapsulation',
    'short-frame',
    'fragment-incomplete',
    'unknown-payload',
    'bad-checksum',
  ])
})
