import { ColumnRoom } from '../frames/column-room.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import type { Loops, PlainTables } from '../frames/loops.ts'
import type { NumberSet } from '../frames/number-set.ts'
import type { PeerTable } from '../frames/peer-table.ts'
import { IS_ETHERNET } from '../wire/ether-type.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { encapsulationNamed } from '../wire/registry.ts'
import type { NestedTunnels } from './nested.ts'
import type { PipelinePlan } from './plan.ts'
import type { TunnelTable } from './tunnel-table.ts'

const VXLAN = encapsulationNamed('vxlan')
const PORTS = 65_536

/**
 * The way that nearly every packet of a mirror takes, for many rows in one loop: plain UDP outside, VXLAN, and inside it an
 * Ethernet frame with a whole IP packet. It finds what the steps find or leaves a row to them, and refuses nothing itself.
 *
 * The loop is Loops.takePlain(); it gives what differs from row to row, and what is alike in all rows is filled in here.
 */
export class FastPath {
  /** Bytes of its room. */
  static readonly roomBytes: number = ColumnRoom.bytesFor(PORTS, Int16Array.BYTES_PER_ELEMENT)

  readonly #loops: Loops
  #tables: PlainTables

  /**
   * Undefined where the steps have more to do than it does, or WebAssembly has not the memory. Whether some frames are left out by what they
   * are is not its to know. `tunnels`: undefined where the source has taken off the outer headers. `wanted`, `peers`: of the batch's room.
   */
  static create(
    plan: Pick<PipelinePlan, 'source' | 'strict' | 'fcs' | 'fixChecksums' | 'headers' | 'snapLength'>,
    { loops, room }: FrameBatch,
    { mayHold }: NestedTunnels,
    tunnels: TunnelTable | undefined,
    peers: PeerTable | undefined,
  ): FastPath | undefined {
    if (loops === undefined) return undefined
    if (plan.strict || plan.fcs !== 'keep' || plan.fixChecksums || plan.headers !== undefined) return undefined
    const { listeners } = plan.source
    if (listeners.length > 0 && listeners.every((listener) => listener.encapsulation !== VXLAN)) return undefined
    if (mayHold[VXLAN] !== 0) return undefined
    if (tunnels === undefined) return new FastPath(loops, undefined, undefined, plan.snapLength)
    const byPort = room.int16(PORTS)
    byPort.set(tunnels.byPort)
    return new FastPath(loops, byPort, peers, plan.snapLength)
  }

  private constructor(loops: Loops, byPort: Int16Array | undefined, peers: PeerTable | undefined, snapLength: number) {
    this.#loops = loops
    const senders = peers?.recentKeys
    this.#tables = { vxlan: VXLAN, byPort, senders, senderPeers: peers?.recentPeers, wanted: undefined, snapLength }
  }

  /** Takes the rows from `from` on, up to the first that is for the steps; they are rows from `to` on then. Returns how many. */
  take(batch: FrameBatch, from: number, to: number): number {
    const end = this.#loops.takePlain(batch, from, to, this.#tables)
    const taken = end - from
    if (taken === 0) return 0
    batch.encapsulation.fill(VXLAN, to, to + taken)
    batch.etherType.fill(IS_ETHERNET, to, to + taken)
    batch.linkType.fill(LINKTYPE_ETHERNET, to, to + taken)
    if (from !== to) {
      batch.seconds.copyWithin(to, from, end)
      batch.nanoseconds.copyWithin(to, from, end)
      batch.peer.copyWithin(to, from, end)
    }
    return taken
  }

  /** Takes frames of these tunnels from now on; undefined = all. The set's bits lie in the room. */
  want(wanted: NumberSet | undefined): void {
    this.#tables = { ...this.#tables, wanted: wanted?.bitmap }
  }
}
