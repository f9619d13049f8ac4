"""NAME.pcap and NAME.inner.pcap, both by tcpdump -> the expected frames: python3 expect-inner.py NAME"""
import hashlib
import subprocess
import sys

from scapy.all import RawPcapReader

name = sys.argv[1]
fields = ["tshark", "-n", "-r", name + ".pcap", "-Y", "vxlan", "-T", "fields", "-e", "frame.number", "-e", "vxlan.vni"]
outer = [line.split("\t") for line in subprocess.run(fields, capture_output=True, text=True, check=True).stdout.splitlines()]
inner = list(RawPcapReader(name + ".inner.pcap"))
assert len(outer) == len(inner), (len(outer), len(inner))
print("frame_number\tvni\tcaptured\toriginal\tsha256\tnote")
for (number, vni), (data, meta) in zip(outer, inner):
    print(number, vni, len(data), meta.wirelen, hashlib.sha256(data).hexdigest(), "", sep="\t")
