import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { Collector, expectBalance } from '../support/collector.ts'
import { outerCapture } from '../support/outer-capture.ts'
import { requires } from '../support/requirements.ts'
import { numberedFrame } from '../support/sender.ts'
import { fieldsOf, framesOf, output } from '../support/tshark.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hp-erm-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const it = requires('build', 'tshark')
const AS_ERM = ['-d', 'udp.port==7932,hp_erm']

/** Twelve bytes: what nobody knows differs, the tag information is the number's; every other frame was tagged. */
function header(number: number): Buffer {
  const bytes = Buffer.alloc(12, number)
  bytes.writeUInt16BE((number * 0x2491) & 0xffff, 9)
  bytes.writeUInt8(number % 2 === 0 ? 0x80 : 0x7f, 11)
  return bytes
}

/** By 802.1Q-1998's names, which tshark has for HP's priorities, too. Words such as `Best Effort (default)`, as tshark names the priorities of a protocol. */
function priorities(file: string, ...options: string[]): string[] {
  const text = output('tshark', '-n', ...options, '-r', file, '-V')
  return [...text.matchAll(/Priority: (.*) \(\d\)$/gm)].map((match) => match[1]!)
}

it('the frame comes out with the tag that tshark finds in the header, priorities by their names', async () => {
  const capture = join(folder, 'outer.pcap')
  const out = join(folder, 'inner.pcap')
  const numbers = Array.from({ length: 128 }, (_, i) => i)
  writeFileSync(
    capture,
    outerCapture(
      numbers.map((i) => Buffer.concat([header(i), numberedFrame(i)])),
      { port: 7932 },
    ),
  )
  const collector = new Collector(['decap', capture, '--out', `pcap:${out}`])
  try {
    expect(await collector.exit()).toBe(0)
    expectBalance(collector.report())
    expect(collector.report().delivered).toBe(numbers.length)
  } finally {
    await collector.dispose()
  }
  const found = fieldsOf(capture, ['hp_erm.is_tagged', 'hp_erm.vlan', 'hp_erm.cfi'], ...AS_ERM)
  const isTagged = (_: unknown, i: number) => found[i]![0] === '1'
  expect(found.filter(isTagged)).toHaveLength(64)
  const vlans = fieldsOf(out, ['frame.number', 'vlan.id', 'vlan.dei']).map(([, id, dei]) => (id ? [id, dei] : []))
  expect(vlans).toEqual(found.map(([tagged, vlan, cfi]) => (tagged === '1' ? [vlan, cfi] : [])))
  const named = priorities(capture, ...AS_ERM).filter(isTagged)
  expect(new Set(named).size).toBe(8)
  expect(priorities(out, '-o', 'vlan.version:IEEE 802.1Q-1998')).toEqual(named)
  const untagged = framesOf(out).map(({ bytes }, i) => (isTagged(0, i) ? bytes.slice(0, 24) + bytes.slice(32) : bytes))
  expect(untagged).toEqual(numbers.map((i) => numberedFrame(i).toString('hex')))
})
