import { writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { type Logger, pino } from 'pino'

const STANDARD_ERROR = 2
const FIELDS_OF_EVERY_LINE = ['level', 'time', 'msg', 'pid', 'hostname']

/** Lines on standard error: JSON for programs, plain text on a terminal. Standard output is for data. */
export function createLogger(level: string): Logger {
  const settings = { level, base: null, formatters: { level: (label: string) => ({ level: label }) } }
  if (!isatty(STANDARD_ERROR)) return pino(settings, pino.destination({ fd: STANDARD_ERROR, sync: true }))
  return pino(settings, { write: (line) => writeToStandardError(`${forPeople(JSON.parse(line))}\n`) })
}

/** A terminal that went away must not end the program that logs to it. */
export function writeToStandardError(text: string): void {
  try {
    writeSync(STANDARD_ERROR, text)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'EAGAIN'))) throw error
  }
}

function forPeople(line: Record<string, unknown>): string {
  const time = new Date(Number(line.time)).toTimeString().slice(0, 8)
  const level = line.level === 'info' ? '' : `${String(line.level)}: `
  const fields = Object.entries(line)
    .filter(([key]) => !FIELDS_OF_EVERY_LINE.includes(key))
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `${time} ${level}${String(line.msg)}${fields.join('')}`
}
