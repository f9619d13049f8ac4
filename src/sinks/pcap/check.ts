import { existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { isatty } from 'node:tty'
import { EXIT_CANNOT_CREATE } from '../../config/terms/failure.ts'
import { type Finding, failed, mebibytes } from '../../config/terms/finding.ts'
import { cannotCreate } from '../../pcap-writer/create-errors.ts'
import { STANDARD_OUTPUT } from '../../pcap-writer/destination.ts'
import { writeSpeed } from './write-speed.ts'

const SCARCE_BYTES = 1 << 30

export function checkFiles(target: string): Finding {
  return target === '-' ? checkStandardOutput() : checkFolder(target)
}

/** Whoever checks on a terminal may mean to collect into a pipe. */
function checkStandardOutput(): Finding {
  if (!isatty(STANDARD_OUTPUT)) return { level: 'ok', what: 'standard output' }
  const mend = 'Collect into a pipe or a file: a capture is no text, and collecting refuses a terminal.'
  return { level: 'warn', what: 'standard output, which is a terminal here', mend }
}

/** The folder of a path, as far as it is fixed; folders with fields in their names are made when they are needed. */
function checkFolder(target: string): Finding {
  const fixed = /^[^%{]*/.exec(target)![0]
  const folder = fixed.endsWith('/') ? fixed : dirname(fixed)
  const hasFieldsInFolder = /[%{]/.test(dirname(target))
  const where = hasFieldsInFolder ? nearestFolder(folder) : folder
  if (!existsSync(where))
    return failed(EXIT_CANNOT_CREATE, `the folder ${where} does not exist`, `Create it: mkdir -p ${where}`)
  try {
    const speed = writeSpeed(where)
    const { bavail, bsize } = statfsSync(where)
    const free = bavail * bsize
    const what = `${mebibytes(free)} free in ${where}, written at ${Math.round(speed / 1e6)} MB/s`
    if (free >= SCARCE_BYTES) return { level: 'ok', what }
    return { level: 'warn', what, mend: 'Make room, or bound what stays: keep=10GiB.' }
  } catch (error) {
    const [what = '', mend = ''] = cannotCreate(`files in ${where}`, error, where).message.split('\n')
    return failed(EXIT_CANNOT_CREATE, what, mend)
  }
}

function nearestFolder(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestFolder(dirname(folder))
}
