import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { sinkText } from '../../src/config/sink-wish.ts'
import { SINKS, sinkTypeNamed } from '../../src/sinks/registry.ts'
import { refusal } from '../config/refusal.ts'
import { requires, unmet } from '../support/requirements.ts'
import { frameText, OpenedSink, ROWS } from './contract.ts'
import { surroundingsOf } from './surroundings.ts'

const opened: OpenedSink[] = []
afterEach(() => {
  for (const sink of opened.splice(0)) sink.dispose()
})

async function open(...args: Parameters<typeof OpenedSink.create>): Promise<OpenedSink> {
  const sink = await OpenedSink.create(...args)
  opened.push(sink)
  return sink
}

test('names of sinks are nouns that can stand in front of a colon, each for one kind', () => {
  const types = SINKS.map(({ type }) => type)
  expect(new Set(types).size).toBe(types.length)
  for (const type of types) {
    expect(type).toMatch(/^[a-z]+$/)
    expect(sinkTypeNamed(type)?.type).toBe(type)
  }
  expect(sinkTypeNamed('')).toBeUndefined()
})

test('nothing outside of sinks/ knows a concrete sink: registering one is all there is to do', () => {
  const source = new URL('../../src/', import.meta.url).pathname
  const files = (readdirSync(source, { recursive: true }) as string[]).filter((file) => file.endsWith('.ts'))
  expect(files.length).toBeGreaterThan(50)
  const aSink = new RegExp(`from '[^']*sinks/[a-z-]+/[^']*'|case '(${SINKS.map(({ type }) => type).join('|')})'`)
  for (const file of files.filter((name) => !name.startsWith('sinks/'))) {
    expect([file, readFileSync(join(source, file), 'utf8').match(aSink)]).toEqual([file, null])
  }
})

describe.each([...SINKS])('$type', (type) => {
  test('its example is what --out takes', () => {
    expect(sinkText.parse(type.example)).toMatchObject({ type: type.type, name: type.example })
    expect(type.summary).toMatch(/^[^\n]{5,80}$/)
  })

  const around = surroundingsOf(type.type)
  let cleanUp: () => void | Promise<void> = () => {}
  beforeAll(async () => {
    if (unmet(...around.needs).length === 0) cleanUp = await around.prepare()
  }, 120_000)
  afterAll(() => cleanUp())
  const exampleWith = (settings: string) => `${type.example}${type.example.includes('?') ? '&' : '?'}${settings}`

  test('a setting that it does not know is refused by name', () => {
    expect(refusal(sinkText, exampleWith('no-such-setting=1')).what).toContain('no-such-setting')
  })

  test('it takes what every sink takes', () => {
    const text = exampleWith('vni=1-5&overflow=block&queue=1MiB')
    const wanted = [{ from: 1, to: 5, deny: false }]
    expect(sinkText.parse(text)).toMatchObject({ wanted, overflow: 'block', queue: 1 << 20 })
    expect(sinkText.parse(exampleWith('overflow=drop')).overflow).toBe('drop')
  })

  const it = requires('build', ...around.needs)

  it('every frame that it is offered is written, and the account is even at the end', async () => {
    const sink = await open(type.example)
    sink.write(ROWS, 100)
    sink.frames.flush()
    sink.write(3, 1500, ROWS)
    await sink.close()
    expect([sink.counters.written, sink.counters.dropped(), sink.counters.balance()]).toEqual([ROWS + 3, {}, 0])
    expect(sink.counters.bytes).toBeGreaterThanOrEqual(ROWS * 100 + 3 * 1500)
    expect(sink.stops).toEqual([])
  })

  it('it needs no frames, and no flush', async () => {
    const sink = await open(type.example)
    sink.write(0, 100)
    sink.frames.flush()
    await sink.close()
    expect([sink.counters.written, sink.counters.dropped(), sink.counters.balance()]).toEqual([0, {}, 0])
    const other = await open(type.example)
    other.write(5, 60)
    await other.close()
    expect([other.counters.written, other.counters.balance()]).toEqual([5, 0])
  })

  it('frames without a captured byte are frames, and counted', async () => {
    const sink = await open(type.example)
    sink.write(4, 0)
    await sink.close()
    const fits = around.shortest === 0
    expect([sink.counters.written, sink.counters.dropped(), sink.counters.balance()]).toEqual(
      fits ? [4, {}, 0] : [0, { 'frame-size': 4 }, 0],
    )
  })

  it('what it has written does not change with the memory it was given', async () => {
    const sink = await open(type.example)
    const recording = await around.record(sink.folder)
    for (let batch = 0; batch < 4; batch++) sink.write(ROWS, 60 + batch, batch * ROWS)
    await sink.close()
    expect(sink.counters.written).toBe(4 * ROWS)
    const expected = Array.from({ length: 4 * ROWS }, (_, i) => frameText(i, 60 + Math.floor(i / ROWS)))
    expect(await recording?.frames(4 * ROWS)).toEqual(type.takesTarget ? expected : undefined)
  })

  it.each(['drop', 'block'])('overflow=%s: a queue that is far too small loses no count', async (overflow) => {
    const common = `overflow=${overflow}&queue=1MiB`
    const sink = await open(exampleWith(common))
    const batches = 100
    for (let batch = 0; batch < batches; batch++) sink.write(ROWS, 1500)
    await sink.close()
    const lost = sink.counters.dropped()['sink-overflow'] ?? 0
    expect([sink.counters.written + lost, sink.counters.balance()]).toEqual([batches * ROWS, 0])
    expect(Object.keys(sink.counters.dropped()).every((reason) => reason === 'sink-overflow')).toBe(true)
    if (overflow === 'block') expect(lost).toBe(0)
  })

  it('being asked to reopen loses no frame', async () => {
    const sink = await open(type.example)
    sink.write(10, 60)
    sink.frames.flush()
    sink.open.reopen()
    sink.write(10, 60)
    await sink.close()
    expect([sink.counters.written, sink.counters.dropped(), sink.counters.balance()]).toEqual([20, {}, 0])
  })

  it('when the pipeline never begins, nothing of it stays', async () => {
    await cleanUp()
    cleanUp = await around.prepare()
    const sink = await open(type.example)
    await sink.open.abandon()
    expect(around.remains(sink.folder)).toEqual([])
  })

  it('2000 batches leave the heap as it was', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const sink = await open(type.example)
    for (let batch = 0; batch < 200; batch++) sink.write(ROWS, 60)
    collect()
    const before = process.memoryUsage().heapUsed
    for (let batch = 0; batch < 2000; batch++) sink.write(ROWS, 60)
    collect()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2 << 20)
    await sink.close()
    expect([sink.counters.written, sink.counters.balance()]).toEqual([2200 * ROWS, 0])
  })
})
