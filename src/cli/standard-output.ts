import { writeSync } from 'node:fs'
import { EXIT_IO, Failure } from '../config/terms/failure.ts'
import { errorCode } from '../pcap-writer/errors.ts'

const STANDARD_OUTPUT = 1
const PAUSE_MS = 10
const pause = new Int32Array(new SharedArrayBuffer(4))

/** Text as it is. Who reads it and has seen enough (`--help | head`) makes no failure of it. Throws Failure where it cannot be written. */
export function writeStandardOutput(text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(STANDARD_OUTPUT, bytes, written)
    } catch (error) {
      if (errorCode(error) === 'EPIPE') return
      if (errorCode(error) !== 'EAGAIN') throw unwritten(error)
      Atomics.wait(pause, 0, 0, PAUSE_MS)
    }
  }
}

function unwritten(error: unknown): Failure {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
  const why = isFull ? 'no room is left on its disk' : error instanceof Error ? error.message : String(error)
  return new Failure(EXIT_IO, `Cannot write to standard output: ${why}.`, 'Make room, or send it somewhere else.')
}
