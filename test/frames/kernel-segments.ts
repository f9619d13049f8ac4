import { scapyLines } from '../support/scapy.ts'

/** A TCP frame of segmentation offload, and what the kernel divided it into. Bytes are lower-case hexadecimal. */
export interface KernelCase {
  readonly description: string
  /** Checksum as a sender leaves it to its network card, and complete, by scapy. */
  readonly unfinished: string
  readonly finished: string
  /** Of the frame: where its headers begin and end. */
  readonly networkAt: number
  readonly tcpAt: number
  readonly headerBytes: number
  /** Length of the segments but the last, without VLAN tags. */
  readonly longest: number
  readonly segments: readonly string[]
}

/**
 * Sends random TCP frames out of a device with struct virtio_net_hdr in front (PACKET_VNET_HDR), which asks for
 * segmentation, and takes what arrives at the other end of the cable: the kernel, tcp_gso_segment, has divided them.
 */
export function segmentedByKernel(sends: string, sees: string): KernelCase[] {
  return scapyLines<KernelCase>(`
import select, socket, struct
SOL_PACKET, PACKET_AUXDATA, PACKET_VNET_HDR = 263, 8, 15
NEEDS_CSUM, TCPV4, TCPV6, ECN = 1, 1, 4, 0x80
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
out.bind((${JSON.stringify(sends)}, 0))
out.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
seen.bind((${JSON.stringify(sees)}, 3))
seen.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
seen.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
seen.settimeout(10)
plain = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
plain.bind((${JSON.stringify(sends)}, 0))
# A device that has just come up takes frames and loses them (noop_qdisc).
while True:
    plain.send(b"\\2" * 60)
    if select.select([seen], [], [], 0.05)[0]:
        seen.recv(100)
        break

def receive():
    data, control, _, _ = seen.recvmsg(70000, 256)
    for level, kind, value in control:
        # struct tpacket_auxdata: the kernel takes the tag out of the frame.
        status, _, _, _, _, tci, tpid = struct.unpack("<IIIHHHH", value[:20])
        if level == SOL_PACKET and status & 0x10:
            data = data[:12] + struct.pack(">HH", tpid, tci) + data[12:]
    return data

def pseudo(packet, size):
    ends = (packet.src, packet.dst)
    family = socket.AF_INET if packet.version == 4 else socket.AF_INET6
    total = sum(sum(struct.unpack(">%dH" % (len(a) // 2), a)) for a in (socket.inet_pton(family, e) for e in ends)) + 6 + size
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total

random.seed(9293)
for number in range(150):
    is4 = number % 2 == 0
    tags = [0, 0, 0, 0, 1][number % 5]
    flags = random.choice(["A", "PA", "FA", "FPA", "CEA", "CPA", "EA", "FPCA"])
    options = random.choice([[], [("NOP", None), ("NOP", None), ("Timestamp", (random.getrandbits(32), 7))], [("NOP", None)] * 40])
    if is4:
        ip_options = random.choice([[], [], [IPOption_NOP()] * random.choice([4, 40])])
        network = IP(src="10.1.2.3", dst="10.200.0.%d" % (number % 250), id=random.choice([0, 1, 65530, random.getrandbits(16)]),
                     flags=random.choice(["DF", 0]), tos=random.getrandbits(8), ttl=random.randrange(1, 256), options=ip_options)
    else:
        network = IPv6(src="fd00::%x" % random.getrandbits(16), dst="fd01::1", tc=random.getrandbits(8), fl=random.getrandbits(20))
        extension = random.choice([None, None, IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\\0" * 12)])])
        if extension is not None:
            network = network / extension
    segment = random.choice([1448, 1460, 1400, 536, 101])
    payload = random.randbytes(random.choice([segment * random.randrange(2, 5), random.randrange(segment + 1, 9000), segment + 1, segment * 40 if segment * 40 < 65000 else 60000]))
    tcp = TCP(sport=80, dport=random.getrandbits(16), seq=random.choice([0xffffff00, random.getrandbits(32)]), ack=5,
              flags=flags, window=random.getrandbits(16), options=options)
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for tag in range(tags):
        frame = frame / Dot1Q(vlan=100 + tag)
    finished = bytes(frame / network / tcp / payload)
    parsed = Ether(finished)
    at = len(finished) - len(payload) - parsed[TCP].dataofs * 4
    header = at + parsed[TCP].dataofs * 4
    packet = parsed[IP] if is4 else parsed[IPv6]
    unfinished = bytearray(finished)
    unfinished[at + 16:at + 18] = struct.pack(">H", pseudo(packet, len(finished) - at))
    kind = (TCPV4 if is4 else TCPV6) | (ECN if "C" in flags else 0)
    vnet = struct.pack("<BBHHHH", NEEDS_CSUM, kind, header, segment, at, 16)
    out.send(vnet + bytes(unfinished))
    segments, left = [], len(payload)
    while left > 0:
        data = receive()
        segments.append(data.hex())
        left -= len(data) - header
    print(json.dumps({"description": "%s %s %s, segments of %d" % ("IPv4" if is4 else "IPv6", flags, options[:1], segment),
        "unfinished": bytes(unfinished).hex(), "finished": finished.hex(), "networkAt": 14 + 4 * tags, "tcpAt": at,
        "headerBytes": header, "longest": header + segment - 4 * tags, "segments": segments}))
`)
}
