import { expect, test } from 'vitest'
import { liveEngine, sourceType } from '../../src/sources/registry.ts'
import type { Listener } from '../../src/sources/source.ts'
import { requires } from '../support/requirements.ts'

const PLAN = { listeners: [], buffer: 1 << 20 }

test.each(['udp', 'ring', 'dgram', 'file'] as const)('the engine %s is found by its name', (engine) => {
  const type = sourceType(engine)
  expect(type.engine).toBe(engine)
  expect(type.batchRows).toBeGreaterThan(0)
  expect(type.batchRows).toBeLessThanOrEqual(65_536)
  expect(type.slabBytes({ engine, ...PLAN })).toBeGreaterThan(0)
})

test('packets of a file and of a ring have their outer headers', () => {
  const engines = ['udp', 'ring', 'dgram', 'file'] as const
  expect(engines.filter((engine) => sourceType(engine).outerHeaders)).toEqual(['ring', 'file'])
})

test.each(['udp', 'ring', 'dgram'] as const)('where %s is wanted, it is taken', (engine) => {
  expect(liveEngine(engine, [], undefined)).toEqual({ engine })
})

requires('linux')('on Linux frames are received with system calls', () => {
  expect(liveEngine(undefined, [], undefined)).toEqual({ engine: 'udp' })
})

const listener = (host: string | undefined, port = 4789): Listener => ({ encapsulation: 0, host, port })

requires('linux', 'root')('left to us, it is the ring where one can be had', () => {
  expect(liveEngine('auto', [listener(undefined)], undefined)).toMatchObject({ engine: 'ring' })
  expect(liveEngine('auto', [listener('127.0.0.1')], undefined)).toMatchObject({ engine: 'ring' })
  expect(liveEngine('auto', [listener('192.0.2.1')], 'lo')).toMatchObject({ engine: 'ring' })
})

requires('linux', 'root').each([
  ['no interface has the address', [listener('192.0.2.1')], undefined, '--interface', 'info'],
  ['there is no such interface', [listener(undefined)], 'absent0', 'no interface absent0', 'warn'],
  ['the kernel is to choose the port', [listener(undefined, 0)], undefined, 'port', 'info'],
] as const)('and else udp, with the reason: %s', (_what, listeners, named, word, level) => {
  expect(liveEngine('auto', listeners, named)).toEqual({
    engine: 'udp',
    reason: { level, text: expect.stringContaining(word) },
  })
})

test.each([undefined, 'udp', 'dgram'] as const)('an interface is for rings: not for engine %s', (engine) => {
  expect(() => liveEngine(engine, [listener(undefined)], 'lo')).toThrow('--interface')
})
