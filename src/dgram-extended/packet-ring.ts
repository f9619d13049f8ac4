import { type BlockReader, PlainBlockReader } from './block-reader.ts'
import type { DatagramColumns } from './datagram-columns.ts'
import { closeDescriptor, getOption, type Libc, libc, SOCK_CLOEXEC, SOCK_DGRAM, setOption } from './libc.ts'
import { AF_PACKET, SOCKADDR_LL_BYTES } from './libc-devices.ts'
import {
  EPERM,
  ETH_P_ALL,
  PACKET_FANOUT,
  PACKET_FANOUT_CBPF,
  PACKET_FANOUT_FLAG_DEFRAG,
  PACKET_FANOUT_FLAG_IGNORE_OUTGOING,
  PACKET_FANOUT_FLAG_UNIQUEID,
  PACKET_FANOUT_HASH,
  PACKET_IGNORE_OUTGOING,
  PACKET_RX_RING,
  PACKET_STATISTICS,
  PACKET_VERSION,
  SLL_FAMILY,
  SLL_PROTOCOL,
  SOL_PACKET,
  STATS_DROPS,
  STATS_FREEZES,
  STATS_WORDS,
  TPACKET_REQ3_WORDS,
  TPACKET_V3,
} from './packet-layout.ts'
import { PROGRESS_DROPS, PROGRESS_FREEZES, RING_PROGRESS_WORDS, RingBlocks } from './ring-blocks.ts'
import type { SocketFilter } from './socket-filter.ts'
import { SyscallError } from './syscall-error.ts'

const PAGE_BYTES = 4096
const PROT_READ_WRITE = 0x3
const MAP_SHARED_FIXED = 0x11
const MAP_PRIVATE_ANONYMOUS_FIXED = 0x32
/** TPACKET_V3 packs frames as they come; the kernel still wants a size that divides a block. */
const FRAME_BYTES = 2048
const SUBJECT = 'packet ring'

export interface PacketRingOptions {
  /** Mapped memory, such as `allocateSharedMemory` gives: the ring replaces its pages [byteOffset, byteOffset + blocks * blockBytes) until it is closed. */
  readonly memory: ArrayBufferLike
  /** Such that the place lies on a page. */
  readonly byteOffset: number
  readonly blocks: number
  /** A power of two, at least a page; a packet that is larger is cut. */
  readonly blockBytes: number
  /** A block that is not full is handed over after so long. */
  readonly retireMs: number
  /** The most that one receive call returns. */
  readonly rows: number
  /** Reads the blocks in a faster way, so many rows at a time. */
  readonly reader?: BlockReader | undefined
  /** What the ring takes; it sees a packet from its network header on. */
  readonly filter: SocketFilter
  /** Several rings share the packets; absent = this one gets all. */
  readonly group?: PacketGroup
}

export interface PacketGroup {
  /** Of the first ring, its `groupId`; undefined for that one. */
  readonly id: number | undefined
  /** Which ring gets a packet: the program's result, modulo their number in the order in which they joined. It sees what the filter sees. */
  readonly program: SocketFilter
}

/** A ring whose owner's thread is gone: structured-clonable, for PacketRing.adopt. */
export interface RingLegacy {
  readonly fd: number
  readonly progress: SharedArrayBuffer
}

/**
 * Packets of all interfaces of this network namespace, from their network header on, in memory that the kernel fills and
 * we read in place (AF_PACKET, TPACKET_V3; packet(7)). IPv4 fragments come put together. Needs CAP_NET_RAW.
 *
 * Bound to no interface: a filter chooses those that are wanted, and can be replaced when one goes and comes back.
 */
export class PacketRing {
  /** How many rows of the last call came with a VLAN tag, which the kernel has taken off; a second one may still be there. */
  get tagged(): number {
    return this.#reader.tagged
  }
  /** Which: the first `tagged` of these. */
  get taggedRows(): Uint16Array {
    return this.#reader.taggedRows
  }

  /** Whether half of the ring's blocks or more are the kernel's to fill. */
  get isHalfFree(): boolean {
    return this.#blocks.isHalfFree
  }

  readonly #c: Libc
  readonly #blocks: RingBlocks
  readonly #reader: BlockReader
  /** Keeps the memory alive for as long as the ring is mapped over it. */
  readonly #bytes: Uint8Array
  readonly #statistics: Uint32Array = new Uint32Array(new ArrayBuffer(4 * STATS_WORDS))
  readonly #progress: Float64Array
  #fd: number

  private constructor(fd: number, options: PacketRingOptions, legacy?: RingLegacy) {
    const { memory, byteOffset, blocks, blockBytes, rows, reader = new PlainBlockReader(memory, rows) } = options
    this.#c = libc()
    this.#fd = fd
    this.#bytes = new Uint8Array(memory, byteOffset, blocks * blockBytes)
    this.#progress = new Float64Array(legacy?.progress ?? new SharedArrayBuffer(8 * RING_PROGRESS_WORDS))
    if (legacy === undefined) {
      configure(fd, options)
      this.#c.mapOver(this.#c.address(this.#bytes), this.#bytes.length, PROT_READ_WRITE, MAP_SHARED_FIXED, fd)
    }
    this.#reader = reader
    this.#blocks = new RingBlocks(memory, byteOffset, blocks, blockBytes, reader, this.#progress)
    if (legacy !== undefined) return
    try {
      this.#bind()
      joinGroup(fd, options.group)
    } catch (error) {
      this.#unmap()
      throw error
    }
  }

  /** @throws SyscallError, such as EPERM without CAP_NET_RAW and ENOMEM; RangeError when the memory does not lie on a page */
  static open(options: PacketRingOptions): PacketRing {
    const c = libc()
    if (c.address(new Uint8Array(options.memory, options.byteOffset)) % BigInt(PAGE_BYTES) !== 0n)
      throw new RangeError(`a packet ring from byte ${options.byteOffset} on\nIts place must lie on a page.`)
    // Protocol 0: no packet comes before bind.
    const fd = c.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (fd < 0) throw new SyscallError('socket', c.errno(), SUBJECT)
    try {
      return new PacketRing(fd, options)
    } catch (error) {
      closeDescriptor(fd)
      throw error
    }
  }

  /** Goes on with a ring that was opened with these options by a thread that is gone: what lies in it, and was not handed out, is there. */
  static adopt(options: PacketRingOptions, legacy: RingLegacy): PacketRing {
    return new PacketRing(legacy.fd, options, legacy)
  }

  /** What another thread needs to go on, should this one die. */
  get legacy(): RingLegacy {
    return { fd: this.#fd, progress: this.#progress.buffer as SharedArrayBuffer }
  }

  /** By which other rings join this one's group. @throws SyscallError */
  get groupId(): number {
    return getOption(this.#fd, SOL_PACKET, PACKET_FANOUT, SUBJECT) & 0xffff
  }

  /** For a poller; -1 once closed. */
  get fd(): number {
    return this.#fd
  }

  /**
   * Takes packets that the kernel has handed over, without waiting: no system call, rows from 0 on. They lie in the ring
   * until the next call. A packet whose lengths cannot be gets a row with nothing captured.
   * @returns how many; 0 when none is there
   */
  receive(columns: DatagramColumns, maxRows: number): number {
    return this.#blocks.receive(columns, maxRows)
  }

  /** Packets that passed the filter and found the ring full, since it was opened. */
  kernelDrops(): number {
    this.#readStatistics()
    return this.#progress[PROGRESS_DROPS]!
  }

  /** How often the ring was full, and the kernel waited for a block to come back. */
  freezes(): number {
    this.#readStatistics()
    return this.#progress[PROGRESS_FREEZES]!
  }

  /** Takes other packets from now on. @throws SyscallError */
  setFilter(filter: SocketFilter): void {
    filter.attach(this.#fd, SUBJECT)
  }

  /** Gives the memory back, empty, and closes the socket; a second call does nothing. */
  close(): void {
    if (this.#fd < 0) return
    this.#readStatistics()
    this.#unmap()
    closeDescriptor(this.#fd)
    this.#fd = -1
  }

  /** The mapping alone would keep the socket open. */
  #unmap(): void {
    const address = this.#c.address(this.#bytes)
    this.#c.mapOver(address, this.#bytes.length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_FIXED, -1)
  }

  /** The kernel starts from 0 again after each reading. */
  #readStatistics(): void {
    if (this.#fd < 0) return
    const length = Uint32Array.of(4 * STATS_WORDS)
    if (this.#c.getsockopt(this.#fd, SOL_PACKET, PACKET_STATISTICS, this.#statistics, length) < 0) return
    this.#progress[PROGRESS_DROPS]! += this.#statistics[STATS_DROPS]!
    this.#progress[PROGRESS_FREEZES]! += this.#statistics[STATS_FREEZES]!
  }

  #bind(): void {
    const address = new DataView(new ArrayBuffer(SOCKADDR_LL_BYTES))
    address.setUint16(SLL_FAMILY, AF_PACKET, true)
    address.setUint16(SLL_PROTOCOL, ETH_P_ALL)
    if (this.#c.bind(this.#fd, address, SOCKADDR_LL_BYTES) < 0) throw new SyscallError('bind', this.#c.errno(), SUBJECT)
  }
}

/** Why this process cannot open packet sockets, or undefined when it can. */
export function packetSocketsUnavailable(): string | undefined {
  const c = libc()
  const fd = c.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  const errno = c.errno()
  closeDescriptor(fd)
  if (fd >= 0) return undefined
  if (errno === EPERM) return 'packet sockets need CAP_NET_RAW.'
  return new SyscallError('socket', errno, 'AF_PACKET').message.split('\n')[0]
}

function configure(fd: number, { blocks, blockBytes, retireMs, filter }: PacketRingOptions): void {
  const c = libc()
  filter.attach(fd, SUBJECT)
  setOption(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V3, SUBJECT)
  // Linux 4.20. Without it the filter refuses our own packets one by one, so a failure is no trouble.
  c.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Int32Array.of(1), 4)
  const frames = (blocks * blockBytes) / FRAME_BYTES
  const request = Uint32Array.of(blockBytes, blocks, FRAME_BYTES, frames, retireMs, 0, 0)
  if (c.setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, 4 * TPACKET_REQ3_WORDS) < 0)
    throw new SyscallError('setsockopt', c.errno(), `${SUBJECT} of ${blocks * blockBytes} bytes`)
}

/** A group, be it of one: only a group has the kernel put IPv4 fragments together. */
function joinGroup(fd: number, group: PacketGroup | undefined): void {
  const kind = group === undefined ? PACKET_FANOUT_HASH : PACKET_FANOUT_CBPF
  const id = group?.id ?? 0
  const flags = PACKET_FANOUT_FLAG_DEFRAG | (group?.id === undefined ? PACKET_FANOUT_FLAG_UNIQUEID : 0) | kind
  const value = (more: number): number => ((flags | more) << 16) | id
  const best = Int32Array.of(value(PACKET_FANOUT_FLAG_IGNORE_OUTGOING))
  if (libc().setsockopt(fd, SOL_PACKET, PACKET_FANOUT, best, 4) !== 0) {
    setOption(fd, SOL_PACKET, PACKET_FANOUT, value(0), SUBJECT)
  }
  if (group !== undefined && group.id === undefined) group.program.distribute(fd, SUBJECT)
}
