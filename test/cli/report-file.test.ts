import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ReportFile } from '../../src/cli/report-file.ts'
import { EXIT_CANNOT_CREATE, EXIT_USAGE } from '../../src/config/terms/failure.ts'
import { requires } from '../support/requirements.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-file-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a report that was there stays until the new one is whole', () => {
  const path = join(folder, 'report.json')
  writeFileSync(path, 'old')
  const report = new ReportFile(path, [])
  expect(readFileSync(path, 'utf8')).toBe('old')
  report.write('new')
  expect(readFileSync(path, 'utf8')).toBe('new')
  expect(readdirSync(folder)).toEqual(['report.json'])
})

test('a program that could not start leaves no trace', () => {
  const path = join(folder, 'report.json')
  new ReportFile(path, []).discard()
  expect(readdirSync(folder)).toEqual([])
})

test('the input and the sinks are never replaced, however their paths are written', () => {
  const input = join(folder, 'in.pcap')
  writeFileSync(input, 'packets')
  expect(() => new ReportFile(join(folder, '.', 'in.pcap'), [input])).toThrow(
    expect.objectContaining({ exitCode: EXIT_USAGE }),
  )
  expect(readFileSync(input, 'utf8')).toBe('packets')
})

test('a folder that is not there is told at the start', () => {
  const path = join(folder, 'absent', 'report.json')
  expect(() => new ReportFile(path, [])).toThrow(expect.objectContaining({ exitCode: EXIT_CANNOT_CREATE }))
})

requires('mkfifo')('a FIFO without a reader is an error, not a wait without end', () => {
  const path = join(folder, 'fifo')
  execFileSync('mkfifo', [path])
  const report = new ReportFile(path, [])
  expect(() => report.write('x')).toThrow(expect.objectContaining({ exitCode: EXIT_CANNOT_CREATE }))
  expect(existsSync(path)).toBe(true)
})
