import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, startCollector } from '../support/collector.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { requires } from '../support/requirements.ts'
import { Flood } from '../support/sender.ts'
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
  const numbers = numbersRead(uncompressed(name!), true)
  expect(numbers.length).toBeGreaterThanOrEqual(sent)
  expect(numbers).toEqual(numbers.map((_, i) => i))
})
