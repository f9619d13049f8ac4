import { dgramSource } from './dgram/dgram-source.ts'
import { fileSource } from './file/file-source.ts'
import type { Engine, SourceType } from './source.ts'
import { udpSource } from './udp/udp-source.ts'

/** Every kind of source there is: one line each. */
const SOURCES: readonly SourceType[] = [udpSource, dgramSource, fileSource]

export function sourceType(engine: Engine): SourceType {
  return SOURCES.find((source) => source.engine === engine)!
}
