/**
 * The headers of a record that holds one frame; all text. Readers of Apache Metron's format (key: microseconds since
 * 1970, eight bytes, big endian; value: the frame) know none of them and pass over them.
 */
export const HEADER_VNI = 'vni'
export const HEADER_ENCAPSULATION = 'encap'
/** The address of the host that sent the tunnel. */
export const HEADER_PEER = 'peer'
/** Bytes that the frame had on the wire. */
export const HEADER_ORIGINAL_LENGTH = 'orig-len'
/** Time of arrival in nanoseconds since 1970. */
export const HEADER_TIME = 'ts-ns'
/** Only where the frame is no Ethernet frame: its LINKTYPE_ value in decimal. */
export const HEADER_LINK_TYPE = 'link-type'
/** Bytes of a key that tells the time. */
export const TIME_KEY_BYTES = 8
