import { accessSync, constants, existsSync, lstatSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isatty } from 'node:tty'
import { EXIT_CANNOT_CREATE } from '../../config/terms/failure.ts'
import { type Finding, failed, mebibytes } from '../../config/terms/finding.ts'
import { cannotCreate } from '../../pcap-writer/create-errors.ts'
import { STANDARD_OUTPUT } from '../../pcap-writer/destination.ts'
import { PathTemplate, type Series } from '../../pcap-writer/path-template.ts'
import { isRotating } from '../../pcap-writer/rotation.ts'
import type { NamedFiles } from './file-options.ts'
import { writeSpeed } from './write-speed.ts'

const SCARCE_BYTES = 1 << 30
/** For names that do not ask. */
const ALL: Series = { encapsulation: 'all', tunnelId: undefined }

export function checkFiles(options: NamedFiles): Finding {
  if (options.target === '-') return checkStandardOutput()
  const given = new PathTemplate(options.target)
  const path = options.compress === 'gzip' ? given.gzipped() : given
  return checkName(path, isRotating(options.rotate ?? {})) ?? checkFolder(path)
}

/** Whoever checks on a terminal may mean to collect into a pipe. */
function checkStandardOutput(): Finding {
  if (!isatty(STANDARD_OUTPUT)) return { level: 'ok', what: 'standard output' }
  const mend = 'Collect into a pipe or a file: a capture is no text, and collecting refuses a terminal.'
  return { level: 'warn', what: 'standard output, which is a terminal here', mend }
}

/** A name without fields is taken as it stands, but for files that rotate, which get numbers. */
function checkName(path: PathTemplate, isNumbered: boolean): Finding | undefined {
  if (path.hasTimeFields || path.hasSeriesFields) return undefined
  const name = path.expand(0, ALL, 0)
  try {
    const kind = statSync(name, { throwIfNoEntry: false })
    if (kind?.isFIFO() || kind?.isCharacterDevice()) {
      accessSync(name, constants.W_OK)
      return { level: 'ok', what: `${name} is a FIFO or a device` }
    }
    // Of a link, too, that leads nowhere.
    const isTaken = lstatSync(name, { throwIfNoEntry: false }) !== undefined
    return isTaken && !isNumbered ? cannotBe(name, Object.assign(new Error(), { code: 'EEXIST' })) : undefined
  } catch (error) {
    return cannotBe(name, error)
  }
}

function cannotBe(path: string, error: unknown, folder?: string): Finding {
  const [what = '', mend = ''] = cannotCreate(path, error, folder).message.split('\n')
  return failed(EXIT_CANNOT_CREATE, what.replace(/\.$/, ''), mend)
}

/** Where the first file will be. Folders with fields in their names are made when they are needed. */
function checkFolder(path: PathTemplate): Finding {
  const { folder } = path
  const isMade = path.foldersAt(Date.now() / 1000).length > 1
  const where = isMade ? nearestFolder(folder) : folder
  try {
    const speed = writeSpeed(where)
    const { bavail, bsize } = statfsSync(where)
    const free = bavail * bsize
    const what = `${mebibytes(free)} free in ${where}, written at ${Math.round(speed / 1e6)} MB/s`
    if (free >= SCARCE_BYTES) return { level: 'ok', what }
    return { level: 'warn', what, mend: 'Make room, or bound what stays: keep=10GiB.' }
  } catch (error) {
    return cannotBe(`files in ${where}`, error, where)
  }
}

function nearestFolder(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestFolder(dirname(folder))
}
