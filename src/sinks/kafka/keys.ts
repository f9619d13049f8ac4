import { tunnelName } from './topics.ts'

/** What a record's key is, and with it which frames share a partition. */
export type KeyKind = 'time' | 'vni' | 'flow'

/** Keys that are kept ready. */
const KNOWN_KEYS = 4096

/** The key of a frame of the queue; undefined = its time, and any partition will do. */
export interface FrameKeys {
  keyOf(at: number, tunnelId: number): Uint8Array | undefined
}

/** key=vni: the tunnel identifier in decimal. */
export class TunnelKeys implements FrameKeys {
  readonly #known: Map<number, Uint8Array> = new Map()

  keyOf(_at: number, tunnelId: number): Uint8Array {
    let key = this.#known.get(tunnelId)
    if (key === undefined) {
      key = Buffer.from(tunnelName(tunnelId))
      if (this.#known.size >= KNOWN_KEYS) this.#known.clear()
      this.#known.set(tunnelId, key)
    }
    return key
  }
}

/** key=time: the encoder writes it. */
export const TIME_KEYS: FrameKeys = { keyOf: () => undefined }
