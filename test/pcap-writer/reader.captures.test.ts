import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { openCapture } from '../../src/pcap-writer/open-capture.ts'
import { GOLDEN, sharedCaptures } from '../support/oracle.ts'
import { memoryFeed, type ReadCapture, readAll } from '../support/read-all.ts'
import { requires, SHARED_CAPTURES } from '../support/requirements.ts'
import { framesOf, output } from '../support/tshark.ts'

const folder = mkdtempSync(join(tmpdir(), 'reader-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function expectSameAsTshark(file: string): Promise<ReadCapture> {
  const expected = framesOf(file)
  const capture = await readAll(openCapture(file))
  expect(capture.problem).toBeUndefined()
  expect(capture.bytesRead).toBe(statSync(file).size)
  expect(capture.frames.length).toBe(expected.length)
  for (const [i, { linkType, ...frame }] of capture.frames.entries())
    expect(frame, `packet ${i + 1}`).toEqual(expected[i])
  return capture
}

describe('a shared capture is read as tshark and capinfos read it', () => {
  const it = requires('tshark', 'capinfos', 'shared-captures')
  /** File -> its one link type, in the names of capinfos. */
  const encapsulations = new Map<string, string>()
  const linkTypes = new Map([
    ['ether', 1],
    ['linux-sll', 113],
  ])
  beforeAll(() => {
    const files = sharedCaptures().map((path) => join(SHARED_CAPTURES, path))
    for (const line of output('capinfos', '-T', '-r', '-E', ...files)
      .trimEnd()
      .split('\n')) {
      const [file, encapsulation] = line.split('\t')
      encapsulations.set(file!, encapsulation!)
    }
  })

  it('there are some', () => expect(sharedCaptures().length).toBeGreaterThan(90))

  it.each(sharedCaptures())('%s', async (path) => {
    const file = join(SHARED_CAPTURES, path)
    const { frames } = await expectSameAsTshark(file)
    const expected = linkTypes.get(encapsulations.get(file)!)
    expect(expected).toBeDefined()
    for (const frame of frames) expect(frame.linkType).toBe(expected)
  })
})

describe('what tshark reads in a capture converted by editcap', () => {
  const it = requires('tshark', 'editcap')
  const source = join(GOLDEN, 'kernel-ipv4.pcap')
  it.each([['pcap'], ['nsecpcap'], ['pcapng'], ['modpcap']])('%s', async (format) => {
    const file = join(folder, `converted-${format}`)
    output('editcap', '-F', format, source, file)
    const { frames } = await expectSameAsTshark(file)
    expect(frames.length).toBe(5)
  })

  it('several pcapng sections one after the other', async () => {
    const [first, second] = ['first', 'second'].map((name) => join(folder, `${name}.pcapng`)) as [string, string]
    output('editcap', '-F', 'pcapng', source, first)
    output('editcap', '-F', 'pcapng', '-t', '100.5', source, second)
    const bytes = Buffer.concat([readFileSync(first), readFileSync(second)])
    const { frames, problem } = await readAll(memoryFeed(bytes))
    expect(problem).toBeUndefined()
    expect(frames.map(({ linkType, ...frame }) => frame)).toEqual([...framesOf(first), ...framesOf(second)])
  })
})
