import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const SRC = new URL('../../src/', import.meta.url).pathname
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))

const manifest = JSON.parse(readFileSync(join(SRC, '../package.json'), 'utf8')) as { files: string[] }

function roomsSection(): string {
  return readFileSync(join(SRC, 'ARCHITECTURE.md'), 'utf8').split('## Rooms')[1] ?? ''
}

/** Room -> rooms that it may import, as ARCHITECTURE.md's table has them. */
const allowed = new Map(
  [...roomsSection().matchAll(/^\| ([a-z/-]+) *\|[^|]*\| *([^|]*?) *\|$/gm)]
    .filter(([, room]) => /^[a-z]/.test(room!) && room !== 'room')
    .map(([, room, targets]) => [room!, targets === '' ? [] : targets!.split(', ')]),
)

function roomOf(file: string): string {
  const rooms = [...allowed.keys()].filter((room) => file.startsWith(`${room}/`))
  return rooms.sort((a, b) => b.length - a.length)[0] ?? `no room for ${file}`
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), 'utf8')
  return [...text.matchAll(/(?:from |import\(|new URL\()'([^']+)'/g)].map(([, target]) => target!)
}

const arrows = files.flatMap((file) =>
  importsOf(file)
    .filter((target) => target.startsWith('.'))
    .map((target) => ({ file, from: roomOf(file), to: roomOf(normalize(join(dirname(file), target))), target })),
)

test('the table has every room, and every room is there', () => {
  const rooms = new Set(files.map(roomOf))
  expect([...rooms].sort()).toEqual([...allowed.keys()].sort())
})

/** What stands beside src and is installed with it: package.json's `files`, and itself. */
const OUTSIDE = [...manifest.files, 'package.json'].map((file) => `no room for ../${file}`)

test('no import crosses a border that ARCHITECTURE.md does not open', () => {
  const wrong = arrows
    .filter(({ to }) => !OUTSIDE.includes(to))
    .filter(({ from, to }) => from !== to && !allowed.get(from)?.includes(to))
  expect(wrong).toEqual([])
})

test('the rooms do not import each other in a circle', () => {
  const reached = new Map<string, Set<string>>()
  const reach = (room: string, path: string[]): void => {
    expect(path).not.toContain(room)
    for (const target of allowed.get(room) ?? []) reach(target, [...path, room])
    reached.set(room, new Set(allowed.get(room)))
  }
  for (const room of allowed.keys()) reach(room, [])
  expect(reached.size).toBe(allowed.size)
})

test.each([
  ['koffi', ['dgram-extended']],
  ['commander', ['cli']],
  ['kafkajs', ['kafka']],
  ['rolldown', ['build']],
  ['zod', ['config', 'config/terms', 'kafka', 'sinks']],
])('%s is imported by its rooms only', (name, rooms) => {
  const importers = files.filter((file) => importsOf(file).includes(name)).map(roomOf)
  expect([...new Set(importers)].sort()).toEqual(rooms)
})

test('the pipeline knows no concrete sink or source', () => {
  const known = arrows.filter(({ from }) => from === 'pipeline').map(({ target }) => target)
  const concrete = known.filter((target) => /\/(sinks|sources)\/[^/]+\//.test(target))
  expect(concrete).toEqual([])
})

test('wire does no input or output', () => {
  const outside = files.filter((file) => file.startsWith('wire/')).flatMap(importsOf)
  expect(outside.filter((target) => !target.startsWith('./'))).toEqual([])
})

test('only the two public entries re-export', () => {
  const exporters = files.filter((file) =>
    /^export (\*|\{[^}]*\}|type \{[^}]*\}) from /m.test(readFileSync(join(SRC, file), 'utf8')),
  )
  const entries = ['dgram-extended/dgram-extended.ts', 'pcap-writer/pcap-writer.ts']
  expect(exporters.filter((file) => !entries.includes(file))).toEqual([])
})

/** Modules that are loaded with one, by `import` and not only for types. */
function loadedWith(file: string, known: Set<string> = new Set()): Set<string> {
  if (known.has(file)) return known
  known.add(file)
  const text = readFileSync(join(SRC, file), 'utf8')
  for (const [, clause, target] of text.matchAll(/^(?:import|export) ([^;']*?) ?from '([^']+)'/gms)) {
    const isForTypes = clause!.startsWith('type ') || /^\{(\s*type [^,}]+,?)+\s*\}$/.test(clause!)
    if (isForTypes) continue
    if (target!.startsWith('.')) loadedWith(normalize(join(dirname(file), target!)), known)
    else known.add(target!)
  }
  return known
}

test('threads load no schemas: zod alone is a hundred modules, and each thread would load them anew', () => {
  const threads = files.filter(
    (file) => /(?:-thread|pipeline\/worker)\.ts$/.test(file) && file !== 'pipeline/worker-thread.ts',
  )
  const halves = files
    .flatMap((file) =>
      [...readFileSync(join(SRC, file), 'utf8').matchAll(/pipelineHalf: new URL\('([^']+)'/g)].map(([, half]) =>
        normalize(join(dirname(file), half!)),
      ),
    )
    .map((file) => file.replace(/\.js$/, '.ts'))
  expect(threads.length).toBeGreaterThan(4)
  expect(halves.length).toBeGreaterThan(4)
  for (const file of [...threads, ...halves]) expect([file, loadedWith(file).has('zod')]).toEqual([file, false])
  expect(loadedWith('cli/program.ts').has('zod')).toBe(true)
})
