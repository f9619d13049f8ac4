import { hex } from '../wire/bytes.ts'

/** Lengths and identifiers in hexadecimal, high byte first. */
function field(value: number, bytes: number): string {
  return value.toString(16).padStart(2 * bytes, '0')
}

/** An inner Ethernet frame of local experimental type 0x88b5: 14 bytes of header and a payload that tells frames apart. */
export function innerFrame(number: number, payloadBytes = 46): string {
  return `020000000004 020000000003 88b5 ${field(number & 0xff, 1).repeat(payloadBytes)}`.replaceAll(' ', '')
}

/** RFC 7348 section 5. */
export function vxlanHeader(vni: number): string {
  return `08000000${field(vni, 3)}00`
}

export function tunnelPayload(vni: number, inner: string): Uint8Array {
  return hex(vxlanHeader(vni) + inner)
}

/** RFC 768, without a checksum. */
export function udp(payload: string, port = 4789): string {
  return `c000${field(port, 2)}${field(8 + payload.length / 2, 2)}0000${payload}`
}

export interface Ipv4Settings {
  readonly protocol?: number
  readonly source?: string
  /** Identification, then flags and fragment offset (RFC 791 section 3.1). */
  readonly id?: number
  readonly fragment?: number
}

/** An Ethernet frame with an IPv4 packet. */
export function ipv4(payload: string, settings: Ipv4Settings = {}): Uint8Array {
  const { protocol = 17, source = '0a000001', id = 1, fragment = 0 } = settings
  const length = field(20 + payload.length / 2, 2)
  const header = `4500${length}${field(id, 2)}${field(fragment, 2)}40${field(protocol, 1)}0000${source}0a000002`
  return hex(`020000000002 020000000001 0800 ${header} ${payload}`)
}

/** An Ethernet frame with an IPv6 packet. */
export function ipv6(payload: string, nextHeader = '11'): Uint8Array {
  const addresses = '20010db8000000000000000000000001 20010db8000000000000000000000002'
  return hex(
    `020000000002 020000000001 86dd 60000000 ${field(payload.length / 2, 2)} ${nextHeader} 40 ${addresses} ${payload}`,
  )
}

/** A whole outer packet with one frame in a tunnel. */
export function outerPacket(
  vni: number,
  inner: string,
  settings: Ipv4Settings & { readonly port?: number } = {},
): Uint8Array {
  return ipv4(udp(vxlanHeader(vni) + inner, settings.port), settings)
}
