import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { type Logger, pino } from 'pino'
import { withoutControls } from '../config/terms/without-controls.ts'
import { writeStandardOutput } from './standard-output.ts'

const STANDARD_ERROR = 2
const FIELDS_OF_EVERY_LINE = ['level', 'time', 'msg', 'pid', 'hostname']

/** How long a reader of the log that takes nothing may hold the program up, before lines are left out. */
const PATIENCE_MS = 500
const PAUSE_MS = 10
const pause = new Int32Array(new SharedArrayBuffer(4))

/** Lines on standard error: JSON for programs, plain text on a terminal. Standard output is for data. */
export function createLogger(level: string): Logger {
  const settings = { level, base: null, formatters: { level: (label: string) => ({ level: label }) } }
  if (!isatty(STANDARD_ERROR)) return pino(settings, { write: writeToStandardError })
  return pino(settings, { write: (line) => writeToStandardError(`${forPeople(JSON.parse(line))}\n`) })
}

/** To the line's beginning, and the line empty (ECMA-48). */
const ERASE_LINE = '\r\u001b[2K'
/** The status line that is on the terminal now. */
let status = ''

/**
 * Puts a status line on the terminal, below all that is logged, in place of the one before; an empty text takes it away.
 * Only for terminals.
 */
export function showStatus(text: string): void {
  if (text === '' && status === '') return
  status = withoutControls(text)
  write(ERASE_LINE + status)
}

/**
 * Never throws, and never waits long: a log that cannot be written must not end or hold up what it tells about. Control
 * characters, which names of files and devices may have, are shown as their numbers: a terminal would obey them.
 */
export function writeToStandardError(text: string): void {
  const shown = withoutControls(text)
  write(status === '' ? shown : ERASE_LINE + shown + status)
}

/** For people, who may look at it on a terminal, and for programs: JSON stays JSON. Throws Failure where it cannot be written. */
export function writeToStandardOutput(text: string): void {
  writeStandardOutput(withoutControls(text))
}

let descriptor: number | undefined

function write(text: string): void {
  descriptor ??= logDescriptor()
  const bytes = Buffer.from(text)
  let written = 0
  for (let waited = 0; written < bytes.length && waited < PATIENCE_MS; waited += PAUSE_MS) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      // A full disk, a terminal that went away, a closed descriptor: there is no one left to tell.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
      Atomics.wait(pause, 0, 0, PAUSE_MS)
    }
  }
}

/** A pipe is opened anew without blocking, which leaves the descriptor that others share as it is. */
function logDescriptor(): number {
  try {
    if (!fstatSync(STANDARD_ERROR).isFIFO()) return STANDARD_ERROR
    return openSync(`/proc/self/fd/${STANDARD_ERROR}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return STANDARD_ERROR
  }
}

function forPeople(line: Record<string, unknown>): string {
  const time = new Date(Number(line.time)).toTimeString().slice(0, 8)
  const level = line.level === 'info' ? '' : `${String(line.level)}: `
  const fields = Object.entries(line)
    .filter(([key]) => !FIELDS_OF_EVERY_LINE.includes(key))
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `${time} ${level}${String(line.msg)}${fields.join('')}`.replaceAll('\n', '\\n')
}
