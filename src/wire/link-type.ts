/** Link types as pcap and pcapng files number them (tcpdump.org/linktypes.html). */
export const LINKTYPE_NULL = 0
export const LINKTYPE_ETHERNET = 1
export const LINKTYPE_RAW = 101
export const LINKTYPE_LOOP = 108
export const LINKTYPE_LINUX_SLL = 113
export const LINKTYPE_IPV4 = 228
export const LINKTYPE_IPV6 = 229
export const LINKTYPE_LINUX_SLL2 = 276

/** Not pcap's: the bytes are what a socket delivered, the tunnel's header first. */
export const LINKTYPE_TUNNEL = 0xffff
