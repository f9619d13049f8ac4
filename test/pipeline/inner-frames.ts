import { scapyLines } from '../support/scapy.ts'

/** A frame that scapy made, and what scapy says of it. */
export interface InnerFrame {
  readonly kind: string
  readonly bytes: string
  /** Where network and transport headers begin, and where the transport header ends. */
  readonly network: number
  readonly transport: number
  readonly payload: number
  /** The number of what follows the IP headers; -1 where there are none, or where a later fragment has only data. */
  readonly protocol: number
  readonly fragment: boolean
  /** The same frame with the checksums left to the network card, as Linux leaves them. */
  readonly unfinished: string
}

const PROGRAM = `
random.seed(76)

def tags():
    layer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for _ in range(random.choice([0, 0, 1, 2])):
        layer = layer / random.choice([Dot1Q, Dot1AD])(vlan=random.randrange(4096), prio=random.randrange(8))
    return layer

def ipv4():
    return IP(src=str(RandIP()), dst=str(RandIP()), options=random.choice([[], [], [IPOption_NOP()] * 4, [IPOption_RR(routers=["0.0.0.0"] * 3)]]))

def ipv6():
    layer = IPv6(src=str(RandIP6()), dst=str(RandIP6()))
    for extension in random.sample([
        IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\\0" * 4)]),
        IPv6ExtHdrRouting(addresses=["2001:db8::3"], segleft=0),
        IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\\0" * 12)]),
        IPv6ExtHdrFragment(offset=0, m=0, id=7),
    ], random.choice([0, 0, 1, 2, 3])):
        layer = layer / extension
    return layer

def content():
    return Raw(random.randbytes(random.choice([0, 1, 2, 3, random.randrange(1400)])))

def tcp():
    return TCP(sport=random.randrange(65536), dport=random.randrange(65536), options=random.choice([[], [("NOP", None)] * 4, [("Timestamp", (1, 2))]]))

# Header, its length, the place of its checksum, the checksum's bytes, whether it covers a pseudo-header.
def transport(version):
    return random.choice([
        ("tcp", tcp(), 16, 2, True), ("udp", UDP(sport=random.randrange(65536), dport=9), 6, 2, True),
        ("sctp", SCTP(sport=1, dport=2, tag=3), 8, 4, False),
        ("icmp", ICMP(id=7, seq=random.randrange(65536)), 2, 2, False) if version == 4 else ("icmp", ICMPv6EchoRequest(id=7, seq=random.randrange(65536)), 2, 2, True),
        ("other", None, None, 0, False),
    ])

def ones(value):
    while value > 0xffff:
        value = (value & 0xffff) + (value >> 16)
    return value

def words(data):
    return ones(sum(int.from_bytes(data[i:i + 2].ljust(2, b"\\0"), "big") for i in range(0, len(data), 2)))

def show(kind, link, frame, network, position, end, protocol, fragment, unfinished):
    print(json.dumps({"kind": kind, "bytes": bytes(frame).hex(), "network": network, "transport": position, "payload": end,
        "protocol": protocol, "fragment": fragment, "unfinished": bytes(unfinished).hex()}))

for number in range(600):
    version = random.choice([4, 6])
    link = tags()
    network = ipv4() if version == 4 else ipv6()
    kind, header, place, size, pseudo = transport(version)
    payload = content()
    if kind == "sctp":
        payload = SCTPChunkData(data=payload.load, beginning=1, ending=1)
    # 253 is for experiments (RFC 3692): nobody knows its header.
    if header is None:
        last = network.lastlayer()
        setattr(last, "proto" if version == 4 else "nh", 253)
        packet = link / network / payload
    else:
        packet = link / network / header / payload
    frame = bytearray(raw(packet))
    start = len(raw(link))
    position = start + len(raw(network))
    end = position + {"tcp": 0, "udp": 8, "sctp": 12, "icmp": 8, "other": 0}[kind]
    if kind == "tcp":
        end += (frame[position + 12] >> 4) * 4
    protocol = 253 if header is None else {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1 if version == 4 else 58}[kind]
    unfinished = bytearray(frame)
    if place is not None:
        addresses = frame[start + 12:start + 20] if version == 4 else frame[start + 8:start + 40]
        partial = ones(words(addresses) + protocol + len(frame) - position) if pseudo and kind != "icmp" else 0
        unfinished[position + place:position + place + size] = partial.to_bytes(size, "big")
    if version == 4 and number % 3 == 0:
        unfinished[start + 10:start + 12] = b"\\0\\0"
    show(kind, link, frame, start, position, end, protocol, False, unfinished)

for number in range(60):
    link = tags()
    if number % 2 == 0:
        whole = link / IP(src="10.0.0.1", dst="10.0.0.2", proto=17) / Raw(random.randbytes(200))
        pieces = fragment(whole, fragsize=64)
    else:
        whole = link / IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=9) / UDP(dport=9) / Raw(random.randbytes(300))
        pieces = fragment6(whole, 160)
    for index, piece in enumerate(pieces):
        frame = raw(piece)
        start = len(raw(link))
        position = start + (20 if number % 2 == 0 else 48)
        show("fragment", link, frame, start, position, position + 8 if index == 0 else position, 17 if index == 0 else -1, True, frame)

for number in range(10):
    link = tags()
    frame = raw(link / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))
    start = len(raw(link))
    show("arp", link, frame, start, start + 28, start + 28, -1, False, frame)
`

let made: readonly InnerFrame[] | undefined

/** Some seven hundred frames of every kind, with VLAN tags, IP options, extension headers and fragments. */
export function innerFrames(): readonly InnerFrame[] {
  made ??= scapyLines<InnerFrame>(PROGRAM)
  return made
}
