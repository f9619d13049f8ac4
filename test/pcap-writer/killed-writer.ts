// Run by pcap-writer.test.ts, which kills it: writes 100 frames a commit and tells how many are written, for ever.
import { writeSync } from 'node:fs'
import { PcapWriter, type PcapWriterOptions } from '../../src/pcap-writer/pcap-writer.ts'
import { frame } from './records.frames.ts'

const writer = new PcapWriter(JSON.parse(process.argv[2]!) as PcapWriterOptions)
for (let sequence = 0; ; sequence++) {
  const { bytes, seconds, nanoseconds } = frame(sequence, 1_700_000_000)
  writer.write(bytes, { seconds, nanoseconds })
  if (sequence % 100 !== 99) continue
  writer.flush()
  writeSync(2, `${writer.written}\n`)
}
