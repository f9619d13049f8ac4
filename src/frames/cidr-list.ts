import { isIPv4, isIPv6 } from 'node:net'

/** One network: an IPv4 or IPv6 prefix. */
interface Prefix {
  readonly address: Uint8Array
  readonly bits: number
}

/** Bits in front of the IPv4 address in an IPv4-mapped IPv6 address. */
const MAPPED_BITS = 96

/** The networks that tunnels may come from. */
export class CidrList {
  readonly #prefixes: readonly Prefix[]

  /** `networks`: addresses or prefixes, e.g. `10.0.0.0/8`, `2001:db8::1`. Throws RangeError naming the one that is neither. */
  constructor(networks: readonly string[]) {
    this.#prefixes = networks.map(parsePrefix)
  }

  /** Whether the address of 4 or 16 bytes at `at` is in any network. An IPv4-mapped IPv6 address counts as IPv4. */
  contains(bytes: Uint8Array, at: number, length: number): boolean {
    let start = at
    let size = length
    if (length === 16 && isMapped(bytes, at)) {
      start = at + 12
      size = 4
    }
    for (let i = 0; i < this.#prefixes.length; i++) {
      const prefix = this.#prefixes[i]!
      if (prefix.address.length === size && matches(prefix, bytes, start)) return true
    }
    return false
  }
}

function matches(prefix: Prefix, bytes: Uint8Array, at: number): boolean {
  const whole = prefix.bits >> 3
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== prefix.address[i]) return false
  const rest = prefix.bits & 7
  if (rest === 0) return true
  const mask = 0xff00 >> rest
  return ((bytes[at + whole]! ^ prefix.address[whole]!) & mask & 0xff) === 0
}

/** Whether the 16 bytes at `at` are an IPv4-mapped address, ::ffff:0:0/96 (RFC 4291 section 2.5.5.2). */
export function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff
}

function parsePrefix(text: string): Prefix {
  const [host = '', bitsText, ...more] = text.split('/')
  const address = addressBytes(host)
  const bits = bitsText === undefined ? (address?.length ?? 0) * 8 : Number(bitsText)
  if (address === undefined || more.length > 0 || !/^\d+$/.test(bitsText ?? '0') || bits > address.length * 8) {
    throw new RangeError(`"${text}" is not an IPv4 or IPv6 address or prefix`)
  }
  if (bits >= MAPPED_BITS && isMapped(address, 0)) return { address: address.slice(12), bits: bits - MAPPED_BITS }
  return { address, bits }
}

/** The 4 or 16 bytes of an address in text, or undefined. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  if (!isIPv6(text) || text.includes('%')) return undefined
  // The URL parser canonicalizes every notation of RFC 4291, an embedded IPv4 address too, into groups of hex.
  const [head = '', tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::')
  const front = groups(head)
  const back = groups(tail ?? '')
  const words = tail === undefined ? front : [...front, ...new Array(8 - front.length - back.length).fill(0), ...back]
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]))
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

/** The address of 4 or 16 bytes in text, IPv6 as RFC 5952 writes it. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const words: string[] = []
  for (let i = 0; i < 16; i += 2) words.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16))
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1)
}
