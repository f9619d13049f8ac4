"""Sends frames as a mirror would, without a route of their own.

python3 send-inner.py DEVICE vlan|large         into a device
python3 send-inner.py ADDRESS large VNI         as VXLAN datagrams of a UDP socket, which the kernel fragments. A vxlan
                                                device over IPv6 does not: it drops what is too large (Ip6FragFails).
"""
import socket
import sys

from scapy.all import ARP, Dot1AD, Dot1Q, ICMP, IP, UDP, Ether, IPv6, Raw, sendp

ends = dict(src="02:00:00:00:01:01", dst="02:00:00:00:01:02")
v4 = dict(src="192.168.77.1", dst="192.168.77.2")
frames = {
    "vlan": [
        Ether(**ends) / Dot1Q(vlan=10) / IP(**v4) / ICMP() / Raw(b"a" * 20),
        Ether(**ends) / Dot1Q(vlan=4094, prio=7) / IP(**v4) / UDP(sport=1, dport=2) / Raw(b"b"),
        Ether(**ends) / Dot1Q(vlan=0, prio=5) / ARP(pdst="192.168.77.2"),
        Ether(**ends) / Dot1Q(vlan=10) / IPv6(src="fd77::1", dst="fd77::2") / UDP(sport=3, dport=4) / Raw(b"c" * 1300),
        Ether(**ends) / Dot1AD(vlan=100) / Dot1Q(vlan=10) / IP(**v4) / UDP() / Raw(b"d" * 64),
        Ether(**ends) / IP(**v4) / UDP(sport=5, dport=6) / Raw(b"untagged"),
    ],
    # 1514 bytes each: an ordinary frame of full size, too large for the tunnel's underlay.
    "large": [Ether(**ends) / IP(**v4, id=n) / UDP(sport=n, dport=9) / Raw(bytes([n]) * 1472) for n in (1, 2, 3)],
}
if len(sys.argv) == 3:
    sendp(frames[sys.argv[2]], iface=sys.argv[1], verbose=False)
else:
    sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for frame in frames[sys.argv[2]]:
        # RFC 7348 section 5.
        sender.sendto(b"\x08\0\0\0" + int(sys.argv[3]).to_bytes(3, "big") + b"\0" + bytes(frame), (sys.argv[1], 4789))
