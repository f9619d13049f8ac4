import { existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { CollectOptions } from '../../config/schema.ts'
import type { SinkText } from '../../config/sink-wish.ts'
import { EXIT_CANNOT_CREATE, EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../../config/terms/failure.ts'
import { deviceIndex } from '../../dgram-extended/network-device.ts'
import { parseTarget } from '../../kafka/access-options.ts'
import { compileWish } from '../../pipeline/filter-wish.ts'
import { sinkWishes } from '../sink-wishes.ts'
import { brokerFindings } from './brokers.ts'
import { writeSpeed } from './disk.ts'
import { type Finding, failed, failedBy } from './finding.ts'
import { hasCapability, mebibytes, textOf } from './machine.ts'

const SCARCE_BYTES = 1 << 30

/** Whether each sink has what it needs. */
export async function sinkFindings(options: CollectOptions): Promise<Finding[]> {
  const { out, quarantine } = options
  const findings = wishFindings(options)
  for (const sink of quarantine === undefined ? out : [...out, quarantine]) {
    findings.push(...(await targetFindings(sink)))
  }
  return findings
}

/** What does not go together, and filters that are none. */
function wishFindings(options: CollectOptions): Finding[] {
  try {
    sinkWishes(options, true)
    return []
  } catch (error) {
    return [failedBy('sinks', error)]
  }
}

/** Compiles what collecting would compile. */
export function filterFindings(expression: string | undefined, option: string): Finding[] {
  if (expression === undefined) return []
  try {
    compileWish(expression, option)
    return [{ level: 'ok', about: 'filter', what: `${option}: compiled` }]
  } catch (error) {
    return [failedBy('filter', error)]
  }
}

async function targetFindings(sink: SinkText): Promise<Finding[]> {
  const { target = '' } = sink.options as { target?: string }
  const about = `sink ${sink.name}`
  switch (sink.type) {
    case 'pcap':
    case 'pcapng':
    case 'quarantine':
      return target === '-' ? [{ level: 'ok', about, what: 'standard output' }] : folderFindings(about, target)
    case 'tap':
      return [tapFinding(about)]
    case 'interface':
      return [interfaceFinding(about, target)]
    case 'kafka': {
      const parsed = parseTarget(target)
      return typeof parsed === 'string' ? [] : await brokerFindings(about, parsed.brokers)
    }
    default:
      return [{ level: 'ok', about, what: 'nothing to look at' }]
  }
}

/** The folder of a path, as far as it is fixed; folders with fields in their names are made when they are needed. */
function folderFindings(about: string, target: string): Finding[] {
  const fixed = /^[^%{]*/.exec(target)![0]
  const folder = fixed.endsWith('/') ? fixed : dirname(fixed)
  const hasFieldsInFolder = /[%{]/.test(dirname(target))
  const where = hasFieldsInFolder ? nearestFolder(folder) : folder
  if (!existsSync(where)) {
    const failure = new Failure(
      EXIT_CANNOT_CREATE,
      `the folder ${where} does not exist`,
      `Create it: mkdir -p ${where}`,
    )
    return [failed(about, failure)]
  }
  try {
    const speed = writeSpeed(where)
    const { bavail, bsize } = statfsSync(where)
    const free = bavail * bsize
    const what = `${mebibytes(free)} free in ${where}, written at ${Math.round(speed / 1e6)} MB/s`
    if (free >= SCARCE_BYTES) return [{ level: 'ok', about, what }]
    return [{ level: 'warn', about, what, mend: 'Make room, or bound what stays: keep=10GiB.' }]
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const mend = `Let the user that runs the collector write to ${where}, or choose another folder.`
    return [failed(about, new Failure(EXIT_CANNOT_CREATE, text, mend))]
  }
}

function nearestFolder(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestFolder(dirname(folder))
}

function tapFinding(about: string): Finding {
  if (!existsSync('/dev/net/tun')) {
    const mend = 'As root: modprobe tun; in a container give it the device: --device /dev/net/tun.'
    return failed(about, new Failure(EXIT_NO_PERMISSION, 'there is no /dev/net/tun', mend))
  }
  if (hasCapability('CAP_NET_ADMIN') !== false) return { level: 'ok', about, what: '/dev/net/tun and CAP_NET_ADMIN' }
  const mend =
    'Run it as root or with AmbientCapabilities=CAP_NET_ADMIN; a device made for this user (owner=) needs none.'
  return { level: 'warn', about, what: 'CAP_NET_ADMIN is missing', mend }
}

function interfaceFinding(about: string, name: string): Finding {
  if (deviceIndex(name) === undefined) {
    return failed(
      about,
      new Failure(EXIT_UNAVAILABLE, `there is no interface ${name}`, '"ip link" lists those there are.'),
    )
  }
  if (hasCapability('CAP_NET_RAW') === false) {
    const mend = 'Run it as root, or with AmbientCapabilities=CAP_NET_RAW.'
    return failed(about, new Failure(EXIT_NO_PERMISSION, 'CAP_NET_RAW is missing', mend))
  }
  const isUp = textOf(`/sys/class/net/${name}/operstate`) !== 'down'
  if (isUp) return { level: 'ok', about, what: `${name} is there` }
  return { level: 'warn', about, what: `${name} is down`, mend: `ip link set ${name} up` }
}
