import { openCapture } from '../pcap-writer/open-capture.ts'
import { CaptureReader } from '../pcap-writer/reader.ts'
import type { PacketColumns } from '../pcap-writer/reader-window.ts'
import { IpHeader } from '../wire/ip.ts'
import { LinkHeader } from '../wire/link.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { OK } from '../wire/verdict.ts'

const WINDOW_BYTES = 1 << 20
const ROWS = 64
const ETHERTYPE_ARP = 0x0806
const ARP_OPERATION = 6
const ARP_SENDER = 14
const ARP_TARGET = 24
const ICMP = 1
const TCP = 6
const UDP = 17
const FLAGS = ['F', 'S', 'R', 'P', '.', 'U']

/** The frames of a small capture file of Ethernet, each a copy. Throws CaptureOpenError. */
export async function framesOf(path: string): Promise<Buffer[]> {
  const memory = new ArrayBuffer(WINDOW_BYTES)
  const feed = openCapture(path)
  const reader = new CaptureReader(feed, memory, 0, WINDOW_BYTES)
  const columns = newColumns()
  const frames: Buffer[] = []
  try {
    for (;;) {
      const rows = await reader.next(columns, ROWS)
      if (rows === 0) return frames
      for (let i = 0; i < rows; i++) frames.push(copyOf(memory, columns.offset[i]!, columns.captured[i]!))
    }
  } finally {
    feed.close()
  }
}

/** A frame in a few words, as tcpdump would begin. */
export function describeFrame(frame: Buffer): string {
  const link = new LinkHeader()
  if (link.decode(frame, 0, frame.length, LINKTYPE_ETHERNET) !== OK) return 'too short'
  const at = link.headerBytes
  if (link.etherType === ETHERTYPE_ARP && frame.length >= at + ARP_TARGET + 4) return describeArp(frame, at)
  const ip = new IpHeader()
  if (ip.decode(frame, at, frame.length - at, frame.length - at, link.etherType) !== OK)
    return `EtherType 0x${link.etherType.toString(16)}`
  const [source, destination] = [ip.sourceAt, ip.sourceAt + ip.addressBytes].map((start) =>
    address(frame.subarray(start, start + ip.addressBytes)),
  )
  return `${source} > ${destination} ${describePayload(frame.subarray(at + ip.headerBytes), ip.protocol)}`
}

function describeArp(frame: Buffer, at: number): string {
  const sender = address(frame.subarray(at + ARP_SENDER, at + ARP_SENDER + 4))
  const target = address(frame.subarray(at + ARP_TARGET, at + ARP_TARGET + 4))
  return frame.readUInt16BE(at + ARP_OPERATION) === 1 ? `ARP ${sender} asks for ${target}` : `ARP ${sender} answers`
}

function describePayload(payload: Buffer, protocol: number): string {
  if (protocol === ICMP && payload.length >= 8) return `ICMP echo ${payload[0] === 8 ? 'request' : 'reply'}`
  if (protocol === UDP && payload.length >= 8) return `UDP ${payload.readUInt16BE(0)} > ${payload.readUInt16BE(2)}`
  if (protocol !== TCP || payload.length < 20) return `protocol ${protocol}`
  const flags = FLAGS.filter((_, bit) => (payload[13]! & (1 << bit)) !== 0).join('')
  const data = payload.subarray((payload[12]! >> 4) * 4)
  const line = data.toString('latin1').split('\r\n')[0]!
  return `TCP ${payload.readUInt16BE(0)} > ${payload.readUInt16BE(2)} [${flags}]${data.length === 0 ? '' : ` ${line.slice(0, 40)}`}`
}

/** IPv4; of IPv6 the groups as they are. */
function address(bytes: Buffer): string {
  return bytes.length === 4 ? bytes.join('.') : bytes.toString('hex').replace(/(.{4})(?!$)/g, '$1:')
}

function copyOf(memory: ArrayBuffer, offset: number, bytes: number): Buffer {
  return Buffer.from(new Uint8Array(memory, offset, bytes))
}

function newColumns(): PacketColumns {
  const [offset, captured, wireLength] = [new Uint32Array(ROWS), new Uint32Array(ROWS), new Uint32Array(ROWS)]
  const [seconds, nanoseconds, linkType] = [new Uint32Array(ROWS), new Uint32Array(ROWS), new Uint16Array(ROWS)]
  return { offset, captured, wireLength, seconds, nanoseconds, linkType }
}
