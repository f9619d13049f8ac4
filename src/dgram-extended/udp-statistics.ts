import { readFileSync } from 'node:fs'
import { SocketAddress } from 'node:net'

/** What the kernel shows of one UDP socket of this network namespace. */
export interface UdpStatistics {
  readonly address: string
  readonly port: number
  /** The socket's inode, as fstat(2) of its descriptor gives it. */
  readonly inode: number
  /** Datagrams it lost (full buffer, bad checksum), counted in unsigned 32 bits. */
  readonly drops: number
}

/** Columns of a line of /proc/net/udp, separated by white space (proc_net_udp(5)); the first is the slot's number. */
const LOCAL_ADDRESS = 1
const INODE = 9
const DROPS = 12

/** Lists of sockets below /proc/net, all of the same form; a raw socket has its protocol's number for a port. */
export type SocketTable = 'udp' | 'udp6' | 'raw' | 'raw6'

/** The UDP sockets of one family, or undefined where the kernel does not show them. */
export function readUdpStatistics(family: 4 | 6): UdpStatistics[] | undefined {
  return readSocketStatistics(family === 4 ? 'udp' : 'udp6')
}

/** The sockets of one list, or undefined where the kernel does not show it. */
export function readSocketStatistics(table: SocketTable): UdpStatistics[] | undefined {
  try {
    return parseUdpStatistics(readFileSync(`/proc/net/${table}`, 'latin1'))
  } catch {
    return undefined
  }
}

/** Reads the text of such a list, of a little-endian machine; lines of another form are left out. */
export function parseUdpStatistics(text: string): UdpStatistics[] {
  const sockets: UdpStatistics[] = []
  for (const line of text.split('\n').slice(1)) {
    const columns = line.trim().split(/\s+/)
    const [address, port] = (columns[LOCAL_ADDRESS] ?? '').split(':')
    const drops = columns[DROPS]
    if (address === undefined || port === undefined || drops === undefined) continue
    sockets.push({
      address: addressText(address),
      port: Number.parseInt(port, 16),
      inode: Number(columns[INODE]),
      drops: Number(drops),
    })
  }
  return sockets
}

/** The address is printed as 32-bit words of the machine's byte order, although it is stored in the network's. */
function addressText(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address
}
