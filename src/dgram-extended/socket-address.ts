import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { networkInterfaces } from 'node:os'
import { AF_INET, AF_INET6 } from './libc.ts'
import { SyscallError } from './syscall-error.ts'

const ENODEV = 19

/** Room for one sender's address: struct sockaddr_in (16 bytes) or sockaddr_in6 (28), in whole 64-bit words. */
export const SOCKADDR_BYTES = 32

/** sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6): what bind and connect want to hear. */
const SOCKADDR_IN_BYTES = 16
const SOCKADDR_IN6_BYTES = 28

/** Where the fields are; family and scope are in the machine's byte order, port and address in the network's. */
const PORT = 2
const IPV4_ADDRESS = 4
const IPV6_ADDRESS = 8
const IPV6_SCOPE = 24

/** AF_INET (2), AF_INET6 (10), or 0 where nothing was written. */
export function familyAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8)
}

export function portAt(bytes: Uint8Array, at: number): number {
  return (bytes[at + PORT]! << 8) | bytes[at + PORT + 1]!
}

/** Where the address itself starts: 4 bytes for IPv4, 16 for IPv6. */
export function addressOffset(bytes: Uint8Array, at: number): number {
  return at + (familyAt(bytes, at) === AF_INET6 ? IPV6_ADDRESS : IPV4_ADDRESS)
}

/** The number of the interface that a link-local IPv6 address belongs to; 0 for every other address. */
export function scopeIdAt(bytes: Uint8Array, at: number): number {
  if (familyAt(bytes, at) !== AF_INET6) return 0
  const scope = at + IPV6_SCOPE
  return (bytes[scope]! | (bytes[scope + 1]! << 8) | (bytes[scope + 2]! << 16) | (bytes[scope + 3]! << 24)) >>> 0
}

/** The address as text, in RFC 5952's form, with `%number` behind it when it has a scope. Allocates: not for every frame. */
export function addressText(bytes: Uint8Array, at: number): string {
  const start = addressOffset(bytes, at)
  if (familyAt(bytes, at) === AF_INET) return bytes.subarray(start, start + 4).join('.')
  const groups: string[] = []
  for (let i = start; i < start + 16; i += 2) groups.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16))
  const { address } = new SocketAddress({ family: 'ipv6', address: groups.join(':') })
  const scope = scopeIdAt(bytes, at)
  return scope === 0 ? address : `${address}%${scope}`
}

/** AF_INET or AF_INET6. @throws TypeError when `address` is a name, or not an address at all. */
export function addressFamily(address: string): typeof AF_INET | typeof AF_INET6 {
  if (isIPv4(address)) return AF_INET
  if (isIPv6(address)) return AF_INET6
  throw new TypeError(
    `${JSON.stringify(address)} is not an IP address\nWrite it in numbers, such as 0.0.0.0, 192.0.2.1 or ::`,
  )
}

/** @throws RangeError when `port` is none */
export function requirePort(port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff)
    throw new RangeError(`port ${port}\nIt must be a whole number from 0 to 65535.`)
}

/**
 * Writes a sockaddr of `address` and `port` at `at`, and returns its size in bytes.
 * A scope may be the number or the name of an interface: `fe80::1%2`, `fe80::1%eth0`.
 * @throws TypeError when `address` is not an IP address, SyscallError (ENODEV) when its interface has no link-local one;
 * RangeError for a bad port.
 */
export function writeSocketAddress(bytes: Uint8Array, at: number, address: string, port: number): number {
  requirePort(port)
  const family = addressFamily(address)
  bytes.fill(0, at, at + SOCKADDR_BYTES)
  bytes[at] = family
  bytes[at + PORT] = port >>> 8
  bytes[at + PORT + 1] = port & 0xff
  if (family === AF_INET) {
    bytes.set(address.split('.').map(Number), at + IPV4_ADDRESS)
    return SOCKADDR_IN_BYTES
  }
  const [literal = '', zone] = address.split('%')
  bytes.set(ipv6Bytes(literal), at + IPV6_ADDRESS)
  if (zone !== undefined) {
    writeScopeId(bytes, at, requireScope(address, zone))
  }
  return SOCKADDR_IN6_BYTES
}

/** Writes the number of the interface into the sockaddr_in6 at `at`. */
export function writeScopeId(bytes: Uint8Array, at: number, scope: number): void {
  for (let i = 0; i < 4; i++) bytes[at + IPV6_SCOPE + i] = scope >>> (8 * i)
}

/** The number of the interface that the text behind `%` means, a number or a name; 0 when there is none. */
export function scopeOfZone(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone)
  for (const entry of networkInterfaces()[zone] ?? [])
    if (entry.family === 'IPv6' && entry.scopeid !== 0) return entry.scopeid
  return 0
}

/** @throws SyscallError (ENODEV) when no interface is meant */
export function requireScope(address: string, zone: string): number {
  const scope = scopeOfZone(zone)
  if (scope === 0) throw new SyscallError('if_nametoindex', ENODEV, address)
  return scope
}

function ipv6Bytes(literal: string): Uint8Array {
  // A trailing dotted quad (::ffff:192.0.2.1) stands for the last two groups.
  const text = literal.replace(/[\d.]+$/, (tail) => {
    if (!tail.includes('.')) return tail
    const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number)
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  })
  const [before = '', after = ''] = text.split('::')
  const front = before === '' ? [] : before.split(':')
  const back = after === '' ? [] : after.split(':')
  const groups = [...front, ...new Array<string>(8 - front.length - back.length).fill('0'), ...back]
  const bytes = new Uint8Array(16)
  for (let i = 0; i < 8; i++) {
    const group = Number.parseInt(groups[i]!, 16)
    bytes[2 * i] = group >>> 8
    bytes[2 * i + 1] = group & 0xff
  }
  return bytes
}
