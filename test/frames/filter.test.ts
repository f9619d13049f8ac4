import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, describe, expect } from 'vitest'
import { compileFilter } from '../../src/dgram-extended/libpcap.ts'
import type { FrameFilter } from '../../src/frames/bpf.ts'
import { createFilter } from '../../src/frames/bpf-compiler.ts'
import { BpfInterpreter } from '../../src/frames/bpf-interpreter.ts'
import { requires } from '../support/requirements.ts'
import { type Corpus, corpusOf, cut, ethernetFrames, goldenFiles, plainFiles, rowsIn, sharedFiles } from './corpus.ts'

const LINKTYPE_ETHERNET = 1
const EXPRESSIONS = readFileSync(new URL('expressions.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))

function instructionsOf(expression: string) {
  return compileFilter(expression, LINKTYPE_ETHERNET, 262_144).instructions
}

function rowsTaken(corpus: Corpus, filter: FrameFilter): number[] {
  const rows: number[] = []
  corpus.offset.forEach((offset, row) => {
    if (filter(corpus.bytes, offset, corpus.captured[row]!, corpus.wireLength[row]!)) rows.push(row)
  })
  return rows
}

const folder = mkdtempSync(join(tmpdir(), 'filter-'))
afterAll(() => rmSync(folder, { recursive: true }))

function byTcpdump(file: string, expression: string): number[] {
  const argv = ['-r', file, '-w', '-', expression]
  return rowsIn(execFileSync('tcpdump', argv, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] }))
}

/** As toEqual, which over these millions of rows takes longer than all that is tested. */
function expectSameRows(rows: readonly number[], expected: readonly number[], what: string): void {
  if (!isDeepStrictEqual(rows, expected)) expect(rows, what).toEqual(expected)
}

/** Every expression, by generated code and by the interpreter; how many take some frames and leave others. */
function expectAgreement(corpus: Corpus, name: string): number {
  const file = join(folder, name)
  writeFileSync(file, corpus.file)
  let telling = 0
  for (const expression of EXPRESSIONS) {
    const expected = byTcpdump(file, expression)
    const interpreter = new BpfInterpreter(instructionsOf(expression))
    expectSameRows(rowsTaken(corpus, createFilter(instructionsOf(expression))), expected, expression)
    expectSameRows(rowsTaken(corpus, interpreter.accepts.bind(interpreter)), expected, `${expression}, interpreted`)
    if (expected.length > 0 && expected.length < corpus.offset.length) telling++
  }
  return telling
}

const LONG = 300_000

describe('each of the expressions takes the frames that tcpdump takes', () => {
  requires('linux', 'libpcap', 'tcpdump')(
    'of the golden captures',
    async () => {
      const frames = await ethernetFrames(goldenFiles())
      expect(frames.length).toBeGreaterThan(100)
      expect(expectAgreement(corpusOf([...frames, ...cut(frames)]), 'golden.pcap')).toBeGreaterThan(100)
    },
    LONG,
  )

  requires(
    'linux',
    'libpcap',
    'tcpdump',
    'shared-captures',
  )(
    'of captures of tunnels, whole and cut',
    async () => {
      const frames = await ethernetFrames(sharedFiles(), 200)
      expect(expectAgreement(corpusOf([...frames, ...cut(frames)]), 'tunnels.pcap')).toBeGreaterThan(150)
    },
    LONG,
  )

  requires(
    'linux',
    'libpcap',
    'tcpdump',
    'shared-captures',
  )(
    'of ordinary traffic',
    async () => {
      expect(expectAgreement(corpusOf(await ethernetFrames(plainFiles())), 'plain.pcap')).toBeGreaterThan(100)
    },
    LONG,
  )
})

requires('linux', 'libpcap')('filters work where no code may be generated', () => {
  const module = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
  const program = `
    const { compileFilter } = await import(${module('dgram-extended/libpcap.ts')})
    const { createFilter } = await import(${module('frames/bpf-compiler.ts')})
    try { new Function('return 1') } catch { console.log('forbidden') }
    const filter = createFilter(compileFilter('ip', 1, 96).instructions)
    const frame = new Uint8Array(14)
    frame[12] = 8
    console.log(filter(frame, 0, 14, 14), filter(frame, 0, 13, 14))`
  const argv = ['--disallow-code-generation-from-strings', '--import', 'tsx', '--input-type=module', '--eval', program]
  expect(execFileSync(process.execPath, argv, { encoding: 'utf8' })).toBe('forbidden\ntrue false\n')
})
