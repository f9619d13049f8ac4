import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ReportFile } from '../../src/cli/report-file.ts'
import { EXIT_CANNOT_CREATE, EXIT_USAGE, type Failure } from '../../src/config/terms/failure.ts'
import { requires } from '../support/requirements.ts'

const NOTHING = { files: [], names: [] }

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-file-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a report that was there stays until the new one is whole', () => {
  const path = join(folder, 'report.json')
  writeFileSync(path, '{"old":1}')
  const report = new ReportFile(path, NOTHING)
  expect(readFileSync(path, 'utf8')).toBe('{"old":1}')
  report.write('new')
  expect(readFileSync(path, 'utf8')).toBe('new')
  expect(readdirSync(folder)).toEqual(['report.json'])
})

test('a program that could not start leaves no trace', () => {
  const path = join(folder, 'report.json')
  new ReportFile(path, NOTHING).discard()
  expect(readdirSync(folder)).toEqual([])
})

test('the input and the sinks are never replaced, however their paths are written', () => {
  const input = join(folder, 'in.pcap')
  writeFileSync(input, 'packets')
  expect(() => new ReportFile(join(folder, '.', 'in.pcap'), { files: [input], names: [] })).toThrow(
    expect.objectContaining({ exitCode: EXIT_USAGE }),
  )
  expect(readFileSync(input, 'utf8')).toBe('packets')
})

test.each(['', '{"old":1}'])('a file that is there and reads %j is replaced', (text) => {
  const path = join(folder, 'report.json')
  writeFileSync(path, text)
  new ReportFile(path, NOTHING).write('new')
  expect(readFileSync(path, 'utf8')).toBe('new')
})

test('what is there and is no report is refused at the start', () => {
  const path = join(folder, 'report.json')
  writeFileSync(path, 'packets')
  expect(() => new ReportFile(path, NOTHING)).toThrow(
    expect.objectContaining({ exitCode: EXIT_CANNOT_CREATE, message: expect.stringContaining('which is no report') }),
  )
  expect(readdirSync(folder)).toEqual(['report.json'])
  expect(readFileSync(path, 'utf8')).toBe('packets')
})

test.each([
  ['that came into being meanwhile', undefined],
  ['that was an empty one at the start', ''],
  ['that took the place of an older report', '{}'],
])('a file %s stays, and the message tells where the report is', (_, before) => {
  const path = join(folder, 'report.json')
  if (before !== undefined) writeFileSync(path, before)
  const report = new ReportFile(path, NOTHING)
  if (before === '{}') rmSync(path)
  writeFileSync(path, 'packets')
  let failure: Failure | undefined
  try {
    report.write('new')
  } catch (error) {
    failure = error as Failure
  }
  expect(failure).toMatchObject({ exitCode: EXIT_CANNOT_CREATE })
  expect(readFileSync(path, 'utf8')).toBe('packets')
  const beside = join(folder, readdirSync(folder).find((name) => name !== 'report.json')!)
  expect(failure!.mend).toContain(beside)
  expect(readFileSync(beside, 'utf8')).toBe('new')
})

test('a link that leads nowhere is replaced by the report', () => {
  const path = join(folder, 'report.json')
  symlinkSync('missing', path)
  new ReportFile(path, NOTHING).write('new')
  expect(readdirSync(folder)).toEqual(['report.json'])
  expect(lstatSync(path).isFile()).toBe(true)
})

test('a folder that is not there is told at the start', () => {
  const path = join(folder, 'absent', 'report.json')
  expect(() => new ReportFile(path, NOTHING)).toThrow(expect.objectContaining({ exitCode: EXIT_CANNOT_CREATE }))
})

test('what stands in its way is told in words, without the name it has until the end', () => {
  writeFileSync(join(folder, 'file'), '')
  for (const [path, what] of [
    ['absent/r.json', `the folder ${folder}/absent does not exist`],
    ['file/r.json', `${folder}/file is no folder`],
    ['file/deeper/r.json', `${folder}/file is no folder`],
    ['', 'it is a folder'],
    ['absent/', 'it is a folder'],
    ['r'.repeat(300), 'its name is too long'],
  ] as const) {
    expect(() => new ReportFile(`${folder}/${path}`, NOTHING)).toThrow(
      expect.objectContaining({
        exitCode: EXIT_CANNOT_CREATE,
        message: `Cannot create the report ${folder}/${path}: ${what}.`,
      }),
    )
  }
  expect(readdirSync(folder)).toEqual(['file'])
})

test('a report is written whoever has removed the file that was made for it', () => {
  const path = join(folder, 'report.json')
  const report = new ReportFile(path, NOTHING)
  rmSync(join(folder, readdirSync(folder)[0]!))
  report.write('whole')
  expect(readFileSync(path, 'utf8')).toBe('whole')
})

test('what a run of the same process id has left beside it stays, and keeps no other from starting', () => {
  const [path, left] = [join(folder, 'report.json'), join(folder, `report.json.${process.pid}.tmp`)]
  writeFileSync(left, 'kept')
  new ReportFile(path, NOTHING).discard()
  new ReportFile(path, NOTHING).write('new')
  expect(readFileSync(path, 'utf8')).toBe('new')
  expect(readFileSync(left, 'utf8')).toBe('kept')
  expect(readdirSync(folder)).toHaveLength(2)
})

requires('mkfifo')('a FIFO without a reader is an error, not a wait without end', () => {
  const path = join(folder, 'fifo')
  execFileSync('mkfifo', [path])
  const report = new ReportFile(path, NOTHING)
  expect(() => report.write('x')).toThrow(
    expect.objectContaining({ exitCode: EXIT_CANNOT_CREATE, message: expect.stringContaining('nobody reads it') }),
  )
  expect(existsSync(path)).toBe(true)
})
