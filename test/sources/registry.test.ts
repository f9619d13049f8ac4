import { expect, test } from 'vitest'
import { liveEngine, sourceType } from '../../src/sources/registry.ts'
import { requires } from '../support/requirements.ts'

test.each(['udp', 'dgram', 'file'] as const)('the engine %s is found by its name', (engine) => {
  const type = sourceType(engine)
  expect(type.engine).toBe(engine)
  expect(type.batchRows).toBeGreaterThan(0)
  expect(type.batchRows).toBeLessThanOrEqual(65_536)
  expect(type.slabBytes({ engine, listeners: [], buffer: 1 << 20 })).toBeGreaterThan(0)
})

test('packets of a file alone have their outer headers', () => {
  expect((['udp', 'dgram', 'file'] as const).map((engine) => sourceType(engine).outerHeaders)).toEqual([
    false,
    false,
    true,
  ])
})

test('the engine that is wanted is the one that is taken', () => {
  expect(liveEngine('dgram')).toEqual({ engine: 'dgram' })
  expect(liveEngine('udp')).toEqual({ engine: 'udp' })
})

requires('linux')('on Linux frames are received with system calls', () => {
  expect(liveEngine(undefined)).toEqual({ engine: 'udp' })
})
