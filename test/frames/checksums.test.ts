import { expect, test } from 'vitest'
import { crc32c } from '../../src/frames/crc.ts'
import { InternetChecksum } from '../../src/frames/internet-checksum.ts'
import { requires } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'
import { hex } from '../wire/bytes.ts'

/** Bytes at `start` of a memory that is otherwise full of ones. */
function placed(bytes: Uint8Array, start: number): Uint8Array {
  const memory = new Uint8Array(((start + bytes.length + 8) & ~3) + 8).fill(0xff)
  memory.set(bytes, start)
  return memory
}

test('the sum of RFC 1071 section 3 comes out on every address', () => {
  const bytes = hex('00 01 f2 03 f4 f5 f6 f7')
  for (let start = 0; start < 9; start++) expect(new InternetChecksum(placed(bytes, start)).sum(start, 8)).toBe(0xddf2)
})

test('nothing and a single byte have sums, too', () => {
  for (let start = 0; start < 9; start++) {
    const sums = new InternetChecksum(placed(hex('12'), start))
    expect([sums.sum(start, 0), sums.sum(start, 1)]).toEqual([0, 0x1200])
  }
})

requires('scapy')('sums are those of scapy, at every alignment and length', () => {
  const lines = scapyLines<{ bytes: string; checksum: number }>(`
random.seed(1071)
for length in list(range(60)) + [random.randrange(2000) for _ in range(60)] + [65535, 65536, 200000, 262144]:
    data = random.choice([random.randbytes(length), b"\\xff" * length])
    print(json.dumps({"bytes": data.hex(), "checksum": checksum(data)}))
`)
  for (const { bytes, checksum } of lines) {
    const content = hex(bytes)
    for (let start = 0; start < 5; start++) {
      const sum = new InternetChecksum(placed(content, start)).sum(start, content.length)
      expect(~sum & 0xffff).toBe(checksum)
    }
  }
})

test('32 zeroes have the CRC32c of RFC 3720 appendix B.4', () => {
  expect(crc32c(new Uint8Array(40).fill(0, 4, 36), 4, 32, 20)).toBe(0x8a9136aa)
})

requires('scapy')("CRC32c is scapy's, and what stands in its own place does not count", () => {
  const lines = scapyLines<{ bytes: string; hole: number; crc: number }>(`
from scapy.layers.sctp import crc32c
for length in [*range(12, 40), 1400, 65535]:
    data = bytearray(random.randbytes(length))
    data[8:12] = bytes(4)
    crc = crc32c(bytes(data))
    data[8:12] = random.randbytes(4)
    print(json.dumps({"bytes": data.hex(), "hole": 8, "crc": crc}))
`)
  for (const { bytes, hole, crc } of lines) {
    const content = hex(bytes)
    for (let start = 0; start < 5; start++) {
      // As SCTP sends it: RFC 9260 appendix A.
      const sent = Buffer.alloc(4)
      sent.writeUInt32LE(crc32c(placed(content, start), start, content.length, start + hole))
      expect(sent.readUInt32BE()).toBe(crc)
    }
  }
})
