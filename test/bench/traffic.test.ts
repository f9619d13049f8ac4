import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { requires } from '../support/requirements.ts'
import { fieldsOf } from '../support/tshark.ts'
import { writeCapture } from './offline.ts'

const it = requires('tshark')
const CHECKSUMS = ['-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE']

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bench-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it('tshark finds nothing wrong with the frames that are sent', () => {
  const file = join(folder, 'traffic.pcap')
  writeCapture(file, 2000)
  const fields = ['frame.len', 'vxlan.vni', 'ip.checksum.status', 'udp.length', 'udp.dstport', '_ws.expert.severity']
  const packets = fieldsOf(file, fields, ...CHECKSUMS)
  expect(packets).toHaveLength(2000)
  // Outer first: 800 - 14 - 20 bytes of UDP; inner 800 - 42 - 8 - 14 - 20. Status 1 is "good"; a bad field has a severity.
  for (const packet of packets) expect(packet).toEqual(['800', '100', '1,1', '766,716', '4789,50000', ''])
})

it('tshark reads consecutive sequence numbers and times', () => {
  const file = join(folder, 'traffic.pcap')
  writeCapture(file, 3000)
  const packets = fieldsOf(file, ['frame.time_epoch', 'data.data'])
  const numbers = packets.map(([, data]) => Number.parseInt(data!.slice(0, 8), 16))
  expect(numbers).toEqual(Array.from({ length: 3000 }, (_, i) => i))
  expect(packets[2999]![0]).toBe('1700000000.029990000')
})
