/** Where the kernel's filters look, from the IP header on. RFC 791 section 3.1. */
export const IPV4_FRAGMENT = 6
/** Both fields of a fragment: more to come, and where this one belongs. */
export const IPV4_ANY_FRAGMENT = 0x3fff
export const IPV4_PROTOCOL = 9
/** RFC 8200 section 3. */
export const IPV6_NEXT_HEADER = 6
export const IPV6_HEADER_BYTES = 40
/** RFC 768, from the UDP header on. */
export const DESTINATION_PORT = 2
