/**
 * Sends mirrored frames of many tunnels and from many addresses, out of an interface:
 * spread-generator.ts --device DEV --address A --inner BYTES --count N --rate FRAMES_PER_SECOND --vnis N --peers N
 */
import { parseArgs } from 'node:util'
import { PacketSender } from '../../src/dgram-extended/packet-sender.ts'
import { OUTER_BYTES, PACKET_VNI_OFFSET, readdress, vxlanPacket } from './traffic.ts'

/** RFC 2544: a network for benchmarks, 198.18.0.0/15. */
const FIRST_PEER = 0xc6120001
/** A paced sender sends what is due for this long in one call. */
const BURST_SECONDS = 0.000_5

/** So many different packets, however many tunnels and addresses: only those differ between two runs. */
const PACKETS = 4096

function packets(innerBytes: number, destination: number, vnis: number, peers: number): Uint8Array[] {
  return Array.from({ length: PACKETS }, (_, i) => {
    const packet = vxlanPacket(innerBytes + OUTER_BYTES)
    readdress(packet, FIRST_PEER + (i % peers), destination)
    new DataView(packet.buffer).setUint32(PACKET_VNI_OFFSET, (1 + (i % vnis)) * 0x100)
    return packet
  })
}

function main(): void {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: { device: text, address: text, inner: text, count: text, rate: text, vnis: text, peers: text },
  })
  const [count, rate] = [Number(values.count), Number(values.rate)]
  const destination = values.address!.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  const all = packets(Number(values.inner), destination, Number(values.vnis), Number(values.peers))
  const length = all[0]!.length
  const sender = PacketSender.open(values.device!, Buffer.concat(all))
  const offsets = Uint32Array.from(all, (_, i) => i * length)
  const lengths = new Uint32Array(all.length).fill(length)
  const burst = Math.max(1, Math.round(rate * BURST_SECONDS))
  const start = performance.now()
  let sent = 0
  let next = 0
  while (sent < count) {
    const some = Math.min(burst, count - sent, all.length - next)
    const taken = sender.send(offsets, lengths, next, some)
    sent += taken
    next = (next + taken) % all.length
    while (performance.now() < start + (sent / rate) * 1000);
  }
  sender.close()
  process.stdout.write(`${JSON.stringify({ sent })}\n`)
}

main()
