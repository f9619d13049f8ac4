import { once } from 'node:events'
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { makeFolder } from '../../src/pcap-writer/make-folder.ts'
import { runCommand } from '../support/command.ts'
import { requires } from '../support/requirements.ts'
import { temporaryFolder } from './records.ts'

test('folders are made with those above them, and stay where they are there', () => {
  const folder = temporaryFolder()
  for (const name of ['a', 'a/b/c/d', 'a/b', 'a/b/c/d']) {
    makeFolder(join(folder, name))
    expect(statSync(join(folder, name)).isDirectory()).toBe(true)
  }
  mkdirSync(join(folder, 'target'))
  symlinkSync('target', join(folder, 'link'))
  makeFolder(join(folder, 'link/x'))
  expect(statSync(join(folder, 'target/x')).isDirectory()).toBe(true)
})

test('two threads make the same folders at a time', async () => {
  const folder = temporaryFolder()
  const turns = new Int32Array(new SharedArrayBuffer(4))
  const program = new URL('make-folders.ts', import.meta.url).href
  // On Node 20 tsx does nothing for a worker by itself.
  const start = `import('tsx/esm/api').then(({ register }) => (register(), import('${program}')))`
  const workers = [0, 1].map(() => new Worker(start, { eval: true, execArgv: [], workerData: { folder, turns } }))
  expect(await Promise.all(workers.map((worker) => once(worker, 'message')))).toEqual([[[]], [[]]])
})

test('a file in the way is an error', () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'a'), '')
  expect(() => makeFolder(join(folder, 'a/b/c'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }))
})

requires('linux')('a folder that takes no others is an error, and no loop without end', () => {
  expect(() => makeFolder('/proc/none')).toThrow(expect.objectContaining({ code: 'ENOENT', path: '/proc/none' }))
  expect(() => makeFolder('/proc/none/deeper')).toThrow(expect.objectContaining({ code: 'ENOENT', path: '/proc/none' }))
})

requires('build', 'linux').each([
  ['pcap:/proc/%Y/x.pcap', 'the folder /proc takes no files'],
  ['kafka:127.0.0.1:1/t?spool=/proc/x', 'spool=/proc/x'],
])('%s ends at once, with 73: %s', (out, what) => {
  const ended = runCommand(['--listen', 'vxlan://127.0.0.1:0', '--duration', '1s', '--out', out])
  expect(ended.exitCode).toBe(73)
  expect(ended.lines).toHaveLength(2)
  expect(ended.lines[0]).toContain(what)
})
