import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, startCollector } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { Flood, numberOf } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

let folder = ''
let collector: Collector
let flood: Flood
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'killed-'))
})
afterEach(async () => {
  await flood?.stop()
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** Numbers of the frames that tcpdump reads; what is cut off at the end it complains about, and leaves out. */
function numbersRead(file: string): number[] {
  const script = 'tcpdump -nn -xx -t -r "$1" 2>/dev/null || true'
  const text = execFileSync('sh', ['-c', script, 'sh', file], { encoding: 'utf8', maxBuffer: 1 << 30 })
  const frames = text.split(/^(?=\S)/m).filter((frame) => frame.includes('\n\t0x0000:'))
  return frames.map((frame) =>
    numberOf([...frame.matchAll(/^\t0x[0-9a-f]+: {2}(.*)$/gm)].map((line) => line[1]!.replaceAll(' ', '')).join('')),
  )
}

/** The file as tcpdump can read it. */
function uncompressed(name: string): string {
  const path = join(folder, name)
  if (!name.endsWith('.gz')) return path
  const plain = path.slice(0, -3)
  writeFileSync(plain, execFileSync('sh', ['-c', 'zcat "$1" 2>/dev/null || true', 'sh', path], { maxBuffer: 1 << 30 }))
  return plain
}

requires('build', 'linux', 'tcpdump', 'gzip').each([
  ['pcap', 'pcap', ''],
  ['pcapng', 'pcapng', ''],
  ['pcap, compressed', 'pcap', '?compress=gzip'],
  ['pcapng, compressed', 'pcapng', '?compress=gzip'],
])('%s: kill -9 in a flood costs no frame that is older than a second', async (_name, kind, query) => {
  const sink = `${kind}:${folder}/out.${kind}${query}`
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', sink])
  flood = new Flood(collector.ports[0]!, 32)
  await until('the flood arrives', () => flood.sent > 2000)
  const { sent } = flood
  const then = performance.now()
  await until('a second has passed', () => performance.now() - then > 1000)
  expect(await collector.stop('SIGKILL')).toBe(null)
  const [name] = readdirSync(folder)
  const numbers = numbersRead(uncompressed(name!))
  expect(numbers.length).toBeGreaterThanOrEqual(sent)
  expect(numbers).toEqual(numbers.map((_, i) => i))
})
