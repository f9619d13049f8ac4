import { communityId } from '../../frames/community-id.ts'
import { Flow } from '../../frames/flow.ts'
import { flowHash } from '../../frames/flow-hash.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../wire/link-type.ts'
import { CAPTURED, FRAME, IS_RAW_IP } from './frame-record.ts'
import { type FrameKeys, TunnelKeys } from './keys.ts'

/** A power of two. A Community ID costs 2 us, one that is kept here 0.1 us; a flow that meets another's slot takes it over. */
const SLOTS = 16_384
/** Of a flow in a slot: its two ends, each address and port, then protocol and length of an address. */
const END_BYTES = 18
const SLOT_BYTES = 2 * END_BYTES + 2
const MULTIPLIER = 0x9e3779b1

/**
 * key=flow: tunnel identifier and Community ID, as in `100/1:hO+sN4H+MG5MY/8hIrXPqc4ZQz8=`. The same addresses in two
 * tunnels are two flows. The pieces of a fragmented packet share a key that knows no ports; frames without IP have
 * their tunnel's.
 */
export class FlowKeys implements FrameKeys {
  readonly #slab: Uint8Array
  readonly #view: DataView
  readonly #flow: Flow = new Flow()
  readonly #tunnels: TunnelKeys = new TunnelKeys()
  readonly #flows: Uint8Array = new Uint8Array(SLOTS * SLOT_BYTES)
  readonly #tunnelIds: Uint32Array = new Uint32Array(SLOTS)
  readonly #keys: (Uint8Array | undefined)[] = new Array<undefined>(SLOTS).fill(undefined)
  readonly #wanted: Uint8Array = new Uint8Array(SLOT_BYTES)

  constructor(slab: Uint8Array) {
    this.#slab = slab
    this.#view = new DataView(slab.buffer, slab.byteOffset, slab.length)
  }

  keyOf(at: number, tunnelId: number): Uint8Array {
    const flow = this.#flow
    const linkType = this.#view.getUint8(at + IS_RAW_IP) === 1 ? LINKTYPE_RAW : LINKTYPE_ETHERNET
    flow.decode(this.#slab, at + FRAME, this.#view.getUint32(at + CAPTURED, true), linkType)
    if (flow.kind !== 'ip') return this.#tunnels.keyOf(at, tunnelId)
    if (flow.isFragment) {
      flow.sourcePort = -1
      flow.destinationPort = -1
    }
    const hash = flowHash(flow, this.#slab) ^ Math.imul(tunnelId, MULTIPLIER)
    const slot = (hash ^ (hash >>> 16)) & (SLOTS - 1)
    this.#describe()
    const known = this.#keys[slot]
    if (known !== undefined && this.#tunnelIds[slot] === tunnelId && this.#isIn(slot)) return known
    const id = communityId(flow, this.#slab)
    if (id === undefined) return this.#tunnels.keyOf(at, tunnelId)
    const key = Buffer.from(`${tunnelId}/${id}`)
    this.#keys[slot] = key
    this.#tunnelIds[slot] = tunnelId
    this.#flows.set(this.#wanted, slot * SLOT_BYTES)
    return key
  }

  #describe(): void {
    const flow = this.#flow
    const wanted = this.#wanted
    this.#end(0, flow.sourceAt, flow.sourcePort)
    this.#end(END_BYTES, flow.destinationAt, flow.destinationPort)
    wanted[2 * END_BYTES] = flow.protocol
    wanted[2 * END_BYTES + 1] = flow.addressBytes + (flow.isOneWay ? 0x80 : 0)
  }

  #end(to: number, addressAt: number, port: number): void {
    const { addressBytes } = this.#flow
    const wanted = this.#wanted
    for (let i = 0; i < addressBytes; i++) wanted[to + i] = this.#slab[addressAt + i]!
    // What a longer address left behind would make two of one flow.
    for (let i = addressBytes; i < 16; i++) wanted[to + i] = 0
    wanted[to + 16] = port >> 8
    wanted[to + 17] = port
  }

  /** In this direction or, where there are two, in the other. */
  #isIn(slot: number): boolean {
    const at = slot * SLOT_BYTES
    if (!this.#matches(at + 2 * END_BYTES, 2 * END_BYTES, 2)) return false
    if (this.#matches(at, 0, 2 * END_BYTES)) return true
    return (
      !this.#flow.isOneWay && this.#matches(at, END_BYTES, END_BYTES) && this.#matches(at + END_BYTES, 0, END_BYTES)
    )
  }

  #matches(at: number, from: number, length: number): boolean {
    for (let i = 0; i < length; i++) if (this.#flows[at + i] !== this.#wanted[from + i]) return false
    return true
  }
}
