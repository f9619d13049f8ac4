"""The captures that no kernel sends. The VXLAN header is written byte by byte from RFC 7348 section 5; scapy does the rest.

Expected frames are the ones that were put in; where tshark can read the tunnel, it must agree about number and VNI.
"""
import hashlib
import subprocess

from scapy.all import (
    Dot1AD, Dot1Q, Ether, ICMP, IP, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
    PadN, Raw, RawPcapReader, RawPcapWriter, TCP, UDP, fragment, fragment6,
)

OUTSIDE = dict(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = dict(src="10.99.0.1", dst="10.99.0.2")
V6 = dict(src="fd99::1", dst="fd99::2")
START = 1_700_000_000


def inner(n, size=60):
    """A frame that differs from every other: n is in its addresses, ports and payload."""
    frame = Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02") / IP(src="192.168.77.%d" % n, dst="192.168.78.1", id=n)
    return bytes(frame / UDP(sport=1000 + n, dport=53) / Raw(bytes((i * n) & 255 for i in range(size - 42))))


def vxlan(vni, flags=0x08, reserved=b"\0\0\0", last=0):
    return bytes([flags]) + reserved + vni.to_bytes(3, "big") + bytes([last])


def udp(payload, port=4789):
    return UDP(sport=50000, dport=port, chksum=0) / Raw(payload)


def udp6(payload):
    return UDP(sport=50000, dport=4789) / Raw(payload)


def write(name, packets, expected, tshark=True, options=()):
    """packets: scapy packets, or (bytes, wire length); expected: (number, vni, captured, original, frame, note), None = nothing."""
    writer = RawPcapWriter(name + ".pcap", linktype=1, nano=True)
    writer.write_header(None)
    for i, packet in enumerate(packets):
        data, wire = packet if isinstance(packet, tuple) else (bytes(packet), len(packet))
        writer.write_packet(data, sec=START + i, usec=i * 111_111_111, caplen=len(data), wirelen=wire)
    writer.close()
    if tshark:
        fields = ["-T", "fields", "-e", "frame.number", "-e", "vxlan.vni"]
        command = ["tshark", "-n", *options, "-r", name + ".pcap", "-Y", "vxlan", *fields]
        seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        wanted = ["%d\t%d" % (number, vni) for number, vni, *_ in expected if vni is not None]
        assert seen == wanted, (name, seen, wanted)
    with open(name + ".expected.tsv", "w") as file:
        file.write("frame_number\tvni\tcaptured\toriginal\tsha256\tnote\n")
        for number, vni, frame, original, note in expected:
            row = ["-"] * 4 if vni is None else [vni, len(frame), original, hashlib.sha256(frame).hexdigest()]
            file.write("\t".join(map(str, [number, *row, note])) + "\n")


def whole(number, vni, frame, note=""):
    return (number, vni, frame, len(frame), note)


def nothing(number, note):
    return (number, None, b"", 0, note)


def header_variants():
    """Every group policy and every reserved bit: the frame comes out all the same."""
    cases = [
        ("group policy 0", dict(flags=0x88)),
        ("group policy 65535", dict(flags=0x88, reserved=b"\0\xff\xff")),
        ("group policy with D (do not learn)", dict(flags=0x88, reserved=b"\x40\x12\x34")),
        ("group policy with A (applied)", dict(flags=0x88, reserved=b"\x08\x12\x34")),
        ("every reserved flag", dict(flags=0xFF)),
        ("reserved bytes after the flags", dict(reserved=b"\xff\xff\xff")),
        ("last reserved byte", dict(last=0xFF)),
        ("all of them", dict(flags=0xFF, reserved=b"\xff\xff\xff", last=0xFF)),
    ]
    packets = [Ether(**OUTSIDE) / IP(**V4) / udp(vxlan(100 + i, **header) + inner(i + 1)) for i, (_, header) in enumerate(cases)]
    write("header-bits", packets, [whole(i + 1, 100 + i, inner(i + 1), note) for i, (note, _) in enumerate(cases)])


def port_8472():
    packets = [Ether(**OUTSIDE) / IP(**V4) / udp(vxlan(vni) + inner(i + 1), 8472) for i, vni in enumerate([0, 1, 16777215])]
    expected = [whole(1, 0, inner(1)), whole(2, 1, inner(2)), whole(3, 16777215, inner(3))]
    write("port-8472", packets, expected, options=["-d", "udp.port==8472,vxlan"])


def outer_tags():
    payload = [vxlan(5) + inner(i) for i in range(1, 5)]
    packets = [
        Ether(**OUTSIDE) / Dot1Q(vlan=10) / IP(**V4) / udp(payload[0]),
        Ether(**OUTSIDE) / Dot1AD(vlan=100) / Dot1Q(vlan=10) / IP(**V4) / udp(payload[1]),
        Ether(**OUTSIDE) / Dot1Q(vlan=100) / Dot1Q(vlan=10) / IP(**V4) / udp(payload[2]),
        Ether(**OUTSIDE) / Dot1AD(vlan=100) / Dot1Q(vlan=10) / IPv6(**V6) / udp6(payload[3]),
    ]
    notes = ["802.1Q", "802.1ad and 802.1Q", "802.1Q twice", "802.1ad and 802.1Q, IPv6"]
    write("outer-tags", packets, [whole(i + 1, 5, inner(i + 1), note) for i, note in enumerate(notes)])


def cut():
    """Captured with a snap length: the inner frame keeps its original length, and of its bytes what is there, if only none."""
    packet = bytes(Ether(**OUTSIDE) / IP(**V4) / udp(vxlan(9) + inner(1, 300)))
    frame = inner(1, 300)
    lengths = [len(packet), len(packet) - 1, 96, 64, 51, 50, 49, 42, 34, 20]
    expected = []
    for i, length in enumerate(lengths):
        if length >= 50:
            expected.append((i + 1, 9, frame[: length - 50], 300, "cut to %d bytes" % length))
        else:
            expected.append(nothing(i + 1, "cut to %d bytes: inside the tunnel" % length))
    write("snap-length", [(packet[:length], len(packet)) for length in lengths], expected, tshark=False)


def extension_headers():
    payload = [udp6(vxlan(6) + inner(i)) for i in range(1, 6)]
    options = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)])
    outside = Ether(**OUTSIDE)
    packets = [
        outside / IPv6(**V6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]) / payload[0],
        outside / IPv6(**V6) / options / payload[1],
        outside / IPv6(**V6) / IPv6ExtHdrRouting(addresses=[], segleft=0) / payload[2],
        outside / IPv6(**V6) / IPv6ExtHdrHopByHop() / options / IPv6ExtHdrRouting() / options / payload[3],
        outside / IPv6(**V6) / IPv6ExtHdrFragment(id=1, offset=0, m=0) / payload[4],
    ]
    notes = ["hop-by-hop", "destination options", "routing", "four headers", "atomic fragment (RFC 6946)"]
    write("ipv6-extension-headers", packets, [whole(i + 1, 6, inner(i + 1), note) for i, note in enumerate(notes)])


def fragments():
    """IPv4 and IPv6, in order, last piece first, mixed with another datagram's, and one that never becomes whole."""
    frames = [inner(n, 1000) for n in range(1, 8)]
    four = [fragment(IP(**V4, id=n) / udp(vxlan(8) + frames[n - 1]), fragsize=400) for n in range(1, 5)]
    six = [fragment6(IPv6(**V6) / IPv6ExtHdrFragment(id=n) / udp6(vxlan(8) + frames[n - 1]), 500) for n in range(5, 8)]
    assert [len(pieces) for pieces in four + six] == [3] * 7
    order = [*four[0], *reversed(four[1]), four[2][0], *six[0], four[2][1], four[2][2], four[3][0], four[3][2], *reversed(six[1])]
    order += [six[2][1], six[2][2]]
    expected = [
        whole(3, 8, frames[0], "IPv4, in order"),
        whole(6, 8, frames[1], "IPv4, last piece first"),
        whole(10, 8, frames[4], "IPv6, in order, between the pieces of another"),
        whole(12, 8, frames[2], "IPv4, around another datagram"),
        nothing(13, "IPv4, the middle piece never comes"),
        nothing(14, "IPv4, the middle piece never comes"),
        whole(17, 8, frames[5], "IPv6, last piece first"),
        nothing(18, "IPv6, the first piece never comes"),
        nothing(19, "IPv6, the first piece never comes"),
    ]
    write("fragments", [Ether(**OUTSIDE) / piece for piece in order], expected)


def hostile():
    """Bytes that a sender should not send. No frame comes out of the first group; of the second, what is there."""
    outside = Ether(**OUTSIDE)
    good = vxlan(3) + inner(1)
    rejected = [
        ("UDP payload of 3 bytes", outside / IP(**V4) / udp(b"\x08\0\0")),
        ("UDP payload of 0 bytes", outside / IP(**V4) / udp(b"")),
        ("I flag clear", outside / IP(**V4) / udp(vxlan(3, flags=0) + inner(1))),
        ("UDP length 7, less than its header", outside / IP(**V4) / UDP(sport=5, dport=4789, len=7, chksum=0) / Raw(good)),
        ("UDP length beyond the IP packet", outside / IP(**V4) / UDP(sport=5, dport=4789, len=9000, chksum=0) / Raw(good)),
        ("IP total length 19, less than its header", outside / IP(**V4, len=19) / udp(good)),
        ("IP header length 4 words", outside / IP(**V4, ihl=4) / udp(good)),
        ("IP header length 15 words, beyond the packet", outside / IP(**V4, ihl=15, len=28) / udp(b"")),
        ("IP version 7 in an IPv4 frame", outside / IP(**V4, version=7) / udp(good)),
        ("inner frame of 13 bytes", outside / IP(**V4) / udp(vxlan(3) + inner(1)[:13])),
        ("inner frame of 0 bytes", outside / IP(**V4) / udp(vxlan(3))),
        ("IPv6 hop-by-hop header longer than the packet", outside / IPv6(**V6, nh=0) / Raw(b"\x11\xff" + b"\0" * 30)),
        ("outer frame of 10 bytes", Raw(bytes(outside)[:10])),
        ("VLAN tag cut in the middle", Raw(bytes(outside)[:12] + b"\x81\0\0")),
        ("TCP to port 4789", outside / IP(**V4) / TCP(sport=5, dport=4789) / Raw(good)),
        ("ICMP", outside / IP(**V4) / ICMP() / Raw(good)),
    ]
    accepted = [
        ("UDP length shorter than the IP packet: the rest is padding", outside / IP(**V4) / UDP(sport=5, dport=4789, len=16 + 60, chksum=0) / Raw(good + b"PADDING"), inner(1)),
        ("Ethernet padding after the IP packet", outside / IP(**V4) / udp(vxlan(3) + inner(1)[:14]) / Raw(b""), inner(1)[:14]),
        ("IP options", outside / IP(**V4, options=[b"\x01" * 4] * 3) / udp(good), inner(1)),
        ("inner frame of 14 bytes", outside / IP(**V4) / udp(vxlan(3) + inner(1)[:14]), inner(1)[:14]),
        ("wrong UDP checksum", outside / IP(**V4) / UDP(sport=5, dport=4789, chksum=0xDEAD) / Raw(good), inner(1)),
        ("wrong IP header checksum", outside / IP(**V4, chksum=0xDEAD) / udp(good), inner(1)),
    ]
    packets = [packet for _, packet in rejected] + [packet for _, packet, _ in accepted]
    padded = len(rejected) + 1
    packets[padded] = Raw(bytes(packets[padded]) + b"\0" * 10)
    expected = [nothing(i + 1, note) for i, (note, _) in enumerate(rejected)]
    expected += [whole(len(rejected) + i + 1, 3, frame, note) for i, (note, _, frame) in enumerate(accepted)]
    write("hostile", packets, expected, tshark=False)


for make in (header_variants, port_8472, outer_tags, cut, extension_headers, fragments, hostile):
    make()
