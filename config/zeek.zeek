# Zeek on a TAP device that `mirror-collector --fix-checksums --out tap:ids0?persist=yes` feeds.
# In local.zeek: `@load /path/to/this/zeek`; in node.cfg: `interface=ids0`.

# UDP of segmentation offload comes in frames of up to 64 KiB, TCP too with segment=no; the default of 9216 would cut them.
redef Pcap::snaplen = 65549;

# Frames come in bursts, a millisecond's worth at a time: MiB of buffer for many milliseconds of them.
redef Pcap::bufsize = 128;

# Without --fix-checksums only: packets mirrored where they were sent have no checksum yet, and Zeek would ignore them.
# redef ignore_checksums = T;
