import { systemCallsUnavailable } from '../dgram-extended/libc.ts'
import { dgramSource } from './dgram/dgram-source.ts'
import { fileSource } from './file/file-source.ts'
import type { Engine, SourceType } from './source.ts'
import { udpSource } from './udp/udp-source.ts'

/** Every kind of source there is: one line each. */
const SOURCES: readonly SourceType[] = [udpSource, dgramSource, fileSource]

export function sourceType(engine: Engine): SourceType {
  return SOURCES.find((source) => source.engine === engine)!
}

/** The engine that receives from the network: the one that is wanted, or else the best that runs here. */
export function liveEngine(wanted: 'udp' | 'dgram' | undefined): { engine: Engine; warning?: string } {
  if (wanted !== undefined) return { engine: wanted }
  const reason = systemCallsUnavailable()
  if (reason === undefined) return { engine: 'udp' }
  return { engine: 'dgram', warning: `Using the slower dgram engine: ${reason}` }
}
