import type { SelectionOptions } from '../config/sender-options.ts'
import { EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { removeSteps } from '../sender/apply.ts'
import { inspect } from '../sender/inspect.ts'
import { lock } from '../sender/lock.ts'
import { describeTunnel } from '../sender/mirror.ts'
import { demandRights, findPlace } from '../sender/place.ts'
import { planDown } from '../sender/plan.ts'
import { type MirrorStatus, select, statusOf } from '../sender/selection.ts'
import { writeToStandardOutput } from './logger.ts'

/** `mirror-sender down`: takes away what `up` made of the selected mirrors, and nothing else. None there is no failure. */
export async function takeDown(options: SelectionOptions): Promise<void> {
  const { all, interface: device, collector, vni } = options
  if (!all && (device ?? collector ?? vni) === undefined) {
    const mend = 'Give --interface, --collector or --vni (what is not given is any), or --all.'
    throw new Failure(EXIT_USAGE, 'It is not said which mirrors to take down.', mend)
  }
  demandRights(options)
  const place = await findPlace(options)
  const unlock = await lock()
  try {
    const state = await inspect(place)
    const selected = select(state, options)
    const rows = statusOf(state, selected)
    await removeSteps(planDown(selected.mirrors, selected.orphans, state, selected.stranded), place)
    const lines = rows.map((row) => `${row.interface ?? 'a tunnel without mirrors'}, ${describeTunnel(row)}, is down`)
    writeToStandardOutput(`${lines.join('\n') || `No such mirror is on ${place.name}.`}\n`)
  } finally {
    unlock()
  }
}

/** `mirror-sender status`: what is there, with the kernel's counts. */
export async function showStatus(options: SelectionOptions): Promise<void> {
  const place = await findPlace(options)
  const state = await inspect(place)
  const rows = statusOf(state, select(state, options))
  const text = options.json ? JSON.stringify({ mirrors: rows }, undefined, 2) : rows.map(statusText).join('\n')
  writeToStandardOutput(`${text || `No mirror is on ${place.name}.`}\n`)
}

function statusText(row: MirrorStatus): string {
  const lines = [
    `${row.interface ?? '(no interface)'}: ${describeTunnel(row)}; device ${row.device}${deviceText(row)}${row.copies === null ? '' : `; copies ${row.copies}`}`,
  ]
  for (const [direction, { packets, bytes, dropped }] of Object.entries(row.mirrored)) {
    lines.push(`  ${direction.padEnd(8)} ${packets} packets, ${bytes} bytes copied; ${dropped} dropped`)
  }
  const { packets, bytes, errors, dropped } = row.sent
  lines.push(`  sent     ${packets} packets, ${bytes} bytes; ${errors} errors, ${dropped} dropped`)
  return lines.join('\n')
}

function deviceText({ up, stranded }: MirrorStatus): string {
  if (stranded) return ', which somebody took away: nothing is copied until "up", and "down" clears what is left'
  return up ? '' : ', which is down'
}
