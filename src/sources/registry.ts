import { EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { systemCallsUnavailable } from '../dgram-extended/libc.ts'
import { packetSocketsUnavailable } from '../dgram-extended/packet-ring.ts'
import { dgramSource } from './dgram/dgram-source.ts'
import { fileSource } from './file/file-source.ts'
import { kafkaSource } from './kafka/kafka-source.ts'
import { ringInterfaces } from './ring/interfaces.ts'
import { ringSource } from './ring/ring-source.ts'
import type { Engine, Listener, NoticeLevel, SourceType } from './source.ts'
import { udpSource } from './udp/udp-source.ts'

/** Every kind of source there is: one line each. */
const SOURCES: readonly SourceType[] = [udpSource, ringSource, dgramSource, fileSource, kafkaSource]

export function sourceType(engine: Engine): SourceType {
  return SOURCES.find((source) => source.engine === engine)!
}

/** An engine that receives from the network, as the user may ask for it. */
export type WantedEngine = 'udp' | 'ring' | 'auto' | 'dgram'

export interface ChosenEngine {
  readonly engine: Engine
  /** Why, where it is not what was asked for, or left to us. */
  readonly reason?: { readonly level: NoticeLevel; readonly text: string }
}

/** The engine that receives from the network: the one that is wanted, or else the best that runs here. Throws Failure. */
export function liveEngine(
  wanted: WantedEngine | undefined,
  listeners: readonly Listener[],
  named: string | undefined,
): ChosenEngine {
  if (named !== undefined && wanted !== 'ring' && wanted !== 'auto') {
    throw new Failure(EXIT_USAGE, '--interface is for packet rings.', 'Add --engine ring, or leave it out.')
  }
  if (wanted !== undefined && wanted !== 'auto') return { engine: wanted }
  const noCalls = systemCallsUnavailable()
  if (noCalls !== undefined) {
    return { engine: 'dgram', reason: { level: 'warn', text: `Using the slower dgram engine: ${noCalls}` } }
  }
  if (wanted === undefined) return { engine: 'udp' }
  const noRing = ringUnavailable(listeners, named)
  const text = noRing === undefined ? 'Using the ring engine: CAP_NET_RAW is given.' : `Using the udp engine: ${noRing}`
  // Who names an interface counts on it.
  const level = noRing !== undefined && named !== undefined ? 'warn' : 'info'
  return { engine: noRing === undefined ? 'ring' : 'udp', reason: { level, text } }
}

function ringUnavailable(listeners: readonly Listener[], named: string | undefined): string | undefined {
  const noSockets = packetSocketsUnavailable()
  if (noSockets !== undefined) return noSockets
  if (listeners.some(({ port }) => port === 0)) return 'the ring cannot choose a port.'
  if (ringInterfaces(listeners, named).length > 0) return undefined
  if (named !== undefined) return `there is no interface ${named}, or it is down; --interface is left out of account.`
  return 'no interface that is up holds an address that is listened on, so that --interface must name one for a ring.'
}
