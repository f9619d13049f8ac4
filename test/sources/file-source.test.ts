import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { EXIT_NO_INPUT } from '../../src/config/terms/failure.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { fileSource } from '../../src/sources/file/file-source.ts'
import { END_OF_SOURCE, type Source, type SourcePlan } from '../../src/sources/source.ts'
import { GOLDEN } from '../support/oracle.ts'
import { requires } from '../support/requirements.ts'
import { framesOf } from '../support/tshark.ts'

const folder = mkdtempSync(join(tmpdir(), 'file-source-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const CAPTURE = `${GOLDEN}hostile.pcap`

async function open(file: string): Promise<{ source: Source; batch: FrameBatch }> {
  const byteOffset = 4096
  const plan: SourcePlan = { engine: 'file', listeners: [], buffer: 0, file }
  const byteLength = fileSource.slabBytes(plan)
  const batch = new FrameBatch(new SharedArrayBuffer(byteOffset + byteLength), fileSource.batchRows)
  const say = (text: string) => expect(text).toBe('nothing')
  const context = { memory: batch.bytes.buffer, byteOffset, byteLength, peers: undefined, say }
  return { source: await fileSource.open(plan, context), batch }
}

async function readAll(source: Source, batch: FrameBatch, maxRows: number): Promise<string[]> {
  const packets: string[] = []
  for (;;) {
    const count = await source.receive(batch, maxRows, 1000)
    if (count === END_OF_SOURCE) break
    expect(count).toBeLessThanOrEqual(maxRows)
    expect(batch.count).toBe(count)
    for (let row = 0; row < count; row++) {
      const start = batch.offset[row]!
      const bytes = Buffer.from(batch.bytes.slice(start, start + batch.captured[row]!))
      packets.push(`${batch.linkType[row]} ${batch.wireLength[row]} ${bytes.toString('hex')}`)
    }
  }
  await source.close()
  return packets
}

requires('tshark').each([1, 5, 256])('%i rows at a time, tshark reads the same packets', async (maxRows) => {
  const { source, batch } = await open(CAPTURE)
  expect(source.description).toEqual([CAPTURE])
  const packets = await readAll(source, batch, maxRows)
  expect(packets).toEqual(framesOf(CAPTURE).map(({ wireLength, bytes }) => `1 ${wireLength} ${bytes}`))
  expect([source.problem, source.kernelDrops()]).toEqual([undefined, 0])
})

test('a capture that breaks off gives what is whole, and says where it broke', async () => {
  const whole = readFileSync(CAPTURE)
  const file = join(folder, 'broken.pcap')
  writeFileSync(file, whole.subarray(0, whole.length - 3))
  const { source, batch } = await open(file)
  const packets = await readAll(source, batch, 256)
  const { source: sound, batch: soundBatch } = await open(CAPTURE)
  expect(packets).toEqual((await readAll(sound, soundBatch, 256)).slice(0, -1))
  expect(source.problem).toContain(file)
  expect(source.problem).toMatch(/byte \d+/)
})

test('a file that is not there is told in words, with what to do', async () => {
  const failure = await open(join(folder, 'absent.pcap')).catch((error: unknown) => error)
  expect(failure).toMatchObject({ name: 'Failure', exitCode: EXIT_NO_INPUT })
  expect((failure as Error).message).toMatch(/^[^\n]*absent\.pcap[^\n]*$/)
  expect((failure as { mend: string }).mend).toMatch(/^[^\n]+$/)
})

test('an empty file has no packets, and a problem', async () => {
  const file = join(folder, 'empty.pcap')
  writeFileSync(file, '')
  const { source, batch } = await open(file)
  expect(await readAll(source, batch, 256)).toEqual([])
  expect(source.problem).toContain(file)
})
