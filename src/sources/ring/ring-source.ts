import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, EXIT_USAGE, Failure } from '../../config/terms/failure.ts'
import { DiscardSocket } from '../../dgram-extended/discard-socket.ts'
import { systemCallsUnavailable } from '../../dgram-extended/libc.ts'
import { PacketRing, type PacketRingOptions, type RingLegacy } from '../../dgram-extended/packet-ring.ts'
import { Poller } from '../../dgram-extended/poller.ts'
import { requireScope } from '../../dgram-extended/socket-address.ts'
import { SyscallError } from '../../dgram-extended/syscall-error.ts'
import type { FrameBatch } from '../../frames/frame-batch.ts'
import { LINKTYPE_RAW } from '../../wire/link-type.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import { IPPROTO_UDP } from '../../wire/udp.ts'
import type { Listener, Source, SourceContext, SourcePlan, SourceType } from '../source.ts'
import { describeListener, NEEDS_RAW, openFailure, socketAddresses } from '../udp-listeners.ts'
import { distribution } from './distribution.ts'
import { InterfaceWatch } from './interface-watch.ts'
import { LoopBlockReader } from './loop-block-reader.ts'
import { skipTags } from './second-tags.ts'
import { tunnelFilter } from './tunnel-filter.ts'

/** More than a block holds of 200-byte frames: a batch then is a block. */
const BATCH_ROWS = 1024
/** Holds any packet there can be, and fits the cache of a core. */
const BLOCK_BYTES = 1 << 18
/** Fewer, and the kernel would wait for us at every block. */
const FEWEST_BLOCKS = 4
/**
 * When no block is there, more are let gather for so long: each wake-up costs as much as a hundred frames, as it finds little of this program
 * in the cache (340 k/s to --out null: 0.12 us CPU a frame with 2 ms, 0.095 with 5, 0.08 with 10). It is no longer than a lonely packet waits anyway.
 */
const NAP_MS = 10
/** Where nobody watches (330 k/s of 64 bytes to a file: 0.16 us with 10 ms, 0.14 with 20, as much with 40). */
const LONG_NAP_MS = 20
const SHORTEST_NAP_MS = 2
/** So many blocks are full in a millisecond of 10 Gbit/s: a nap leaves half of the ring empty. */
const BLOCKS_A_MS = 5
/** A block that is not full comes after this: the delay of a lonely packet. */
const RETIRE_MS = 10

/** A packet ring over the interfaces that the tunnels come in on. Its packets start with the outer IP header. */
class RingSource implements Source {
  readonly description: readonly string[]
  readonly warnings: readonly string[] = [
    "The ring sees packets before this host's firewall and NAT: what they refuse is collected, too; --allow-from chooses senders.",
  ]
  readonly group: unknown
  readonly legacy: unknown
  readonly #ring: PacketRing
  readonly #poller: Poller
  readonly #watch: InterfaceWatch
  readonly #listeners: readonly Listener[]
  readonly #discards: readonly DiscardSocket[]
  readonly #isFirst: boolean
  /** Longer than this, and a ring of its size might be full. */
  readonly #mostNapMs: number
  #napMs = NAP_MS
  readonly #napping: Int32Array = new Int32Array(new SharedArrayBuffer(4))
  /** Packets came by the last call. */
  #flows = false

  constructor(plan: SourcePlan, context: SourceContext) {
    this.#listeners = plan.listeners
    this.#mostNapMs = Math.max(SHORTEST_NAP_MS, blocksOf(plan) / 2 / BLOCKS_A_MS)
    this.letWait(false)
    // Each worker sees the interfaces come and go; one tells of it.
    this.#isFirst = plan.share === undefined || plan.share.worker === 0
    this.#watch = new InterfaceWatch(plan.listeners, plan.interface, this.#isFirst ? context.say : () => {})
    if (this.#watch.interfaces.length === 0) throw noInterface(plan)
    this.#ring = openRing(plan, context, this.#watch)
    this.#poller = new Poller([this.#ring.fd])
    if (plan.share !== undefined) this.group = this.#ring.groupId
    this.legacy = this.#ring.legacy
    // Those of a worker that died are open still.
    this.#discards = this.#isFirst && plan.legacy === undefined ? openDiscards(plan.listeners) : []
    const sockets = socketAddresses(plan.listeners).map(({ listener, address }) =>
      describeListener(address, listener.port, listener.encapsulation),
    )
    this.description = [`${sockets.join(', ')} by a ring on ${this.#watch.names}`]
  }

  receive(batch: FrameBatch, maxRows: number, milliseconds: number): number {
    if (this.#watch.changed()) this.#ring.setFilter(tunnelFilter(this.#listeners, this.#watch.taken))
    let count = this.#ring.receive(batch, maxRows)
    if (count === 0 && milliseconds > 0) count = this.#wait(batch, maxRows, milliseconds)
    this.#flows = count > 0
    batch.count = count
    batch.linkType.fill(LINKTYPE_RAW, 0, count)
    if (count > 0 && this.#ring.tagged > 0) skipTags(batch, this.#ring.taggedRows, this.#ring.tagged)
    return count
  }

  #wait(batch: FrameBatch, maxRows: number, milliseconds: number): number {
    if (this.#flows) {
      Atomics.wait(this.#napping, 0, 0, Math.min(this.#napMs, milliseconds))
      const count = this.#ring.receive(batch, maxRows)
      if (count > 0) return count
    }
    return this.#poller.wait(milliseconds) > 0 ? this.#ring.receive(batch, maxRows) : 0
  }

  letWait(isLong: boolean): void {
    this.#napMs = Math.min(this.#mostNapMs, isLong ? LONG_NAP_MS : NAP_MS)
  }

  hasRoom(): boolean {
    return this.#ring.isHalfFree
  }

  mayWrite(): boolean {
    return this.#ring.isHalfFree
  }

  kernelDrops(): number {
    return this.#ring.kernelDrops()
  }

  freezes(): number {
    return this.#ring.freezes()
  }

  interfaceLosses(): number {
    return this.#isFirst ? this.#watch.losses : 0
  }

  close(): void {
    for (const discard of this.#discards) discard.close()
    this.#ring.close()
  }
}

function openRing(plan: SourcePlan, context: SourceContext, watch: InterfaceWatch): PacketRing {
  const { share, legacy, listeners } = plan
  const options: PacketRingOptions = {
    memory: context.memory,
    byteOffset: context.byteOffset,
    blocks: blocksOf(plan),
    blockBytes: BLOCK_BYTES,
    retireMs: RETIRE_MS,
    rows: BATCH_ROWS,
    reader: context.loops && new LoopBlockReader(context.loops, BATCH_ROWS),
    filter: tunnelFilter(listeners, watch.interfaces),
    ...(share && { group: { id: share.group as number | undefined, program: distribution(listeners) } }),
  }
  if (legacy !== undefined) return PacketRing.adopt(options, legacy as RingLegacy)
  try {
    return PacketRing.open(options)
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error
    if (error.code === 'EPERM') {
      throw new Failure(EXIT_NO_PERMISSION, 'The ring engine needs CAP_NET_RAW.', `${NEEDS_RAW} Or use --engine udp.`)
    }
    if (error.code === 'ENOMEM') {
      const what = `The kernel has no memory for a ring of ${blocksOf(plan) * BLOCK_BYTES} bytes.`
      throw new Failure(EXIT_UNAVAILABLE, what, 'Lower --buffer.')
    }
    if (error.code === 'EAFNOSUPPORT') {
      throw new Failure(EXIT_UNAVAILABLE, 'This kernel has no packet sockets (AF_PACKET).', 'Use --engine udp.')
    }
    throw error
  }
}

/** One that cannot be opened need not be: somebody has the port, and answers nobody "unreachable"; or there is no IPv6. */
function openDiscards(listeners: readonly Listener[]): DiscardSocket[] {
  const sockets: DiscardSocket[] = []
  for (const { listener, address } of socketAddresses(listeners)) {
    const protocol = ENCAPSULATIONS[listener.encapsulation]!.ipProtocol ?? IPPROTO_UDP
    try {
      sockets.push(DiscardSocket.open({ address, port: listener.port, protocol }))
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error
    }
  }
  return sockets
}

/** Throws a Failure where a link-local address names an interface that is not there. */
function requireZones(listeners: readonly Listener[]): void {
  for (const listener of listeners) {
    const { host = '' } = listener
    const [, zone] = host.split('%')
    try {
      if (zone !== undefined) requireScope(host, zone)
    } catch (error) {
      throw openFailure(error, host, listener)
    }
  }
}

function noInterface({ interface: named }: SourcePlan): Failure {
  if (named !== undefined) {
    return new Failure(
      EXIT_UNAVAILABLE,
      `There is no interface ${named}, or it is down.`,
      '"ip link" lists those there are.',
    )
  }
  return new Failure(
    EXIT_UNAVAILABLE,
    'No interface that is up holds an address that is listened on.',
    'Name the one that packets come in on: --interface DEV; "ip address" lists them.',
  )
}

function blocksOf({ buffer }: SourcePlan): number {
  return Math.max(FEWEST_BLOCKS, Math.ceil(buffer / BLOCK_BYTES))
}

export const ringSource: SourceType = {
  engine: 'ring',
  outerHeaders: true,
  canShare: () => true,
  drain: 'arrived',
  batchRows: BATCH_ROWS,
  settleMs: 3 * RETIRE_MS,
  slabBytes: (plan) => blocksOf(plan) * BLOCK_BYTES,
  open(plan, context) {
    const reason = systemCallsUnavailable()
    if (reason !== undefined) {
      throw new Failure(EXIT_UNAVAILABLE, `The ring engine cannot run: ${reason}`, 'Use --engine dgram.')
    }
    const portless = plan.listeners.find(({ port }) => port === 0)
    if (portless !== undefined) {
      throw new Failure(EXIT_USAGE, 'The ring engine cannot choose a port.', 'Give one: --listen :4789.')
    }
    if (plan.legacy === undefined) requireZones(plan.listeners)
    return new RingSource(plan, context)
  },
}
