import { scapyLines } from '../../support/scapy.ts'

/** Writes a capture of `flows` conversations in VXLAN, `packets` each way, of all kinds, in two VNIs that have the same addresses. */
export function writeConversations(file: string, flows: number, packets: number): void {
  scapyLines(`
frames = []
for flow in range(${flows}):
    a, b = '10.0.%d.1' % (flow % 200), '10.1.0.%d' % (1 + flow // 200)
    a6, b6 = '2001:db8::%x' % (flow + 1), '2001:db8:1::1'
    kinds = [
        lambda s, d, p: IP(src=s[0], dst=d[0]) / TCP(sport=p[0], dport=p[1]),
        lambda s, d, p: IP(src=s[0], dst=d[0]) / UDP(sport=p[0], dport=p[1]),
        lambda s, d, p: IPv6(src=s[1], dst=d[1]) / TCP(sport=p[0], dport=p[1]),
        lambda s, d, p: IP(src=s[0], dst=d[0]) / ICMP(type=8 if p[0] < p[1] else 0),
    ]
    kind = kinds[flow % 4]
    ports = (1024 + flow, 44300)
    for number in range(${packets}):
        for inner in [kind((a, a6), (b, b6), ports), kind((b, b6), (a, a6), ports[::-1])]:
            for vni in [100, 200]:
                packet = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02') / inner / Raw(b'%08d' % len(frames))
                outer = Ether() / IP(src='192.0.2.1', dst='192.0.2.2') / UDP(sport=5000, dport=4789, chksum=0)
                frames.append(bytes(outer / VXLAN(flags=8, vni=vni) / packet))
wrpcap('${file}', frames)
`)
}

/** The number that writeConversations() gave a frame, from its last eight bytes in hexadecimal. */
export function conversationNumber(frame: string): number {
  return Number(Buffer.from(frame.slice(-16), 'hex').toString('latin1'))
}
