// Numbers and layouts of <linux/if_packet.h>, <linux/filter.h>, <linux/if_ether.h> and <asm-generic/socket.h>, as libc.ts has those of UDP.

export const EPERM = 1
export const SOL_PACKET = 263
export const ETH_P_ALL = 0x0003

export const PACKET_RX_RING = 5
export const PACKET_STATISTICS = 6
export const PACKET_VERSION = 10
export const PACKET_FANOUT = 18
export const PACKET_FANOUT_DATA = 22
export const PACKET_IGNORE_OUTGOING = 23
export const PACKET_FANOUT_HASH = 0
export const PACKET_FANOUT_CBPF = 6
export const PACKET_FANOUT_FLAG_UNIQUEID = 0x2000
/** Linux 5.19; older headers do not have the name. */
export const PACKET_FANOUT_FLAG_IGNORE_OUTGOING = 0x4000
export const PACKET_FANOUT_FLAG_DEFRAG = 0x8000
export const TPACKET_V3 = 2
export const TP_STATUS_KERNEL = 0
export const TP_STATUS_USER = 1
export const TP_STATUS_VLAN_VALID = 0x10

/** struct sockaddr_ll; more of it is in libc-devices.ts. */
export const SLL_FAMILY = 0
export const SLL_PROTOCOL = 2

/** struct tpacket_req3, in 32-bit words: block size, blocks, frame size, frames, milliseconds until a block that is not full is handed over. */
export const TPACKET_REQ3_WORDS = 7
/** struct tpacket_stats_v3, in 32-bit words. */
export const STATS_WORDS = 3
export const STATS_PACKETS = 0
export const STATS_DROPS = 1
export const STATS_FREEZES = 2

/** struct tpacket_block_desc with its tpacket_hdr_v1, in 32-bit words. */
export const BLOCK_STATUS = 2
export const BLOCK_PACKETS = 3
export const BLOCK_FIRST = 4
export const BLOCK_HEADER_BYTES = 48

/** struct tpacket3_hdr, in 32-bit words; tp_net is the upper half of its word, as little-endian machines have it. */
export const FRAME_NEXT = 0
export const FRAME_SECONDS = 1
export const FRAME_NANOSECONDS = 2
export const FRAME_CAPTURED = 3
export const FRAME_LENGTH = 4
export const FRAME_STATUS = 5
export const FRAME_NETWORK = 6
/** Behind it is a struct sockaddr_ll, and behind that the packet. */
export const FRAME_HEADER_BYTES = 68

export const SO_ATTACH_FILTER = 26
/** Classic BPF, <linux/bpf_common.h>. */
export const BPF_LOAD_ABSOLUTE = 0x20
export const BPF_LOAD_INDEXED = 0x40
export const BPF_SIZE_WORD = 0x00
export const BPF_SIZE_HALF = 0x08
export const BPF_SIZE_BYTE = 0x10
/** X = 4 * (byte & 15): the length of an IPv4 header. */
export const BPF_LOAD_HEADER_LENGTH = 0xb1
export const BPF_JUMP = 0x05
export const BPF_JUMP_EQUAL = 0x15
export const BPF_JUMP_ANY_BIT = 0x45
export const BPF_RETURN = 0x06
export const BPF_RETURN_A = 0x16
export const BPF_LOAD_NUMBER = 0x00
/** Of and to a word of the program's own. */
export const BPF_LOAD_WORD = 0x60
export const BPF_LOAD_WORD_INTO_X = 0x61
export const BPF_STORE_WORD = 0x02
export const BPF_XOR_WITH_X = 0xac
export const BPF_MULTIPLY = 0x24
export const BPF_SHIFT_RIGHT = 0x74
export const BPF_MAXINSNS = 4096
/** Loads that read not the packet but what the kernel knows of it (SKF_AD_OFF + ...). */
export const AD_PROTOCOL = 0xffff_f000
export const AD_PACKET_TYPE = 0xffff_f004
export const AD_IFINDEX = 0xffff_f008
export const AD_VLAN_TAG_PRESENT = 0xffff_f030
/** sll_pkttype, SKF_AD_PKTTYPE: addressed to this host. */
export const PACKET_HOST = 0
