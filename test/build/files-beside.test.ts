import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BuildOptions, build } from 'rolldown'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { filesBeside } from '../../src/build/files-beside.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'files-beside-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Writes the files, bundles room/main.js into bin/, and gives what that exports. */
async function bundled(files: Record<string, string>): Promise<Record<string, URL>> {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const bin = join(folder, 'bin')
  const modules = new Map<string, string>()
  const options: BuildOptions = { cwd: folder, platform: 'node', plugins: [filesBeside(folder, bin, modules)] }
  const output = { dir: bin, entryFileNames: '[name].js' }
  await build({ ...options, input: { main: 'room/main.js' }, output })
  if (modules.size > 0) await build({ ...options, input: Object.fromEntries(modules), output })
  return (await import(pathToFileURL(join(bin, 'main.js')).href)) as Record<string, URL>
}

test('a module that is named by its place is bundled, with what it imports, and named by its new place', async () => {
  const { thread } = await bundled({
    'room/main.js': "export const thread = new URL('./deep/thread.js', import.meta.url)",
    'room/deep/thread.js': "import { two } from '../two.js'\nexport const four = two + two",
    'room/two.js': 'export const two = 2',
  })
  expect(thread!.pathname).toBe(join(folder, 'bin/room-deep-thread.js'))
  rmSync(join(folder, 'room'), { recursive: true })
  expect(await import(thread!.href)).toMatchObject({ four: 4 })
})

test('other files and folders are found where they were', async () => {
  const { text, page } = await bundled({
    'room/main.js': `export const text = new URL('../text.json', import.meta.url)
      export const page = new URL('./page/', import.meta.url)`,
    'text.json': '"words"',
    'room/page/index.html': 'a page',
  })
  expect(readFileSync(text!, 'utf8')).toBe('"words"')
  expect(readFileSync(new URL('index.html', page), 'utf8')).toBe('a page')
})

test.each([
  ['new URL("./gone.js", import.meta.url)', 'asks where it is'],
  ["new URL('./gone.js', import.meta.url)", 'names ./gone.js, which is not there'],
  ["new URL('./gone.txt', import.meta.url)", 'names ./gone.txt, which is not there'],
  ["import.meta.dirname + '/main.js'", 'asks where it is'],
  ['import.meta.url', 'asks where it is'],
])('%s is refused', async (expression, why) => {
  await expect(bundled({ 'room/main.js': `export const place = ${expression}` })).rejects.toThrow(why)
})
