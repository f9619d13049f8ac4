import type { MirrorOptions } from '../config/sender-options.ts'
import { applySteps } from '../sender/apply.ts'
import { copyProgramName } from '../sender/copy-program.ts'
import { lock } from '../sender/lock.ts'
import { describeTunnel, type MirrorWish, tunnelName } from '../sender/mirror.ts'
import { pathWarning } from '../sender/mtu.ts'
import { demandRights, findPlace } from '../sender/place.ts'
import { PROGRAM_PATH, type Step } from '../sender/step.ts'
import { survey, verifyMirror } from '../sender/survey.ts'
import { writeToStandardError, writeToStandardOutput } from './logger.ts'
import { mirrorWish } from './sender-wish.ts'

/** `mirror-sender plan`: prints what `up` would do, and how that is undone; does nothing. */
export async function planMirror(options: MirrorOptions): Promise<void> {
  const wish = mirrorWish(options)
  const place = await findPlace(options)
  const { steps, warnings } = await survey(wish, place)
  warn(warnings)
  writeToStandardOutput(planText(wish, place.name, steps, (argv) => place.argv(argv)))
}

/** `mirror-sender up`: sets the mirror up, whole or not at all. */
export async function setUpMirror(options: MirrorOptions): Promise<void> {
  const wish = mirrorWish(options)
  demandRights(options, copyProgramName(wish.tunnel.copies ?? {}) !== '')
  const place = await findPlace(options)
  const interrupted = new AbortController()
  const interrupt = (): void => interrupted.abort()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, interrupt)
  const unlock = await lock()
  try {
    const { steps, warnings, needed } = await survey(wish, place)
    warn(warnings)
    const isNew = steps.length > 0 && needed !== undefined
    const doubt = isNew ? await pathWarning(wish, needed, place) : undefined
    if (doubt !== undefined) warn([doubt])
    await applySteps(steps, place, interrupted.signal, () => verifyMirror(wish, place))
    const state = steps.length === 0 ? 'is mirrored already' : 'is mirrored'
    writeToStandardOutput(`${describeMirror(wish)} ${state} (device ${tunnelName(wish.tunnel)})\n`)
  } finally {
    unlock()
    for (const signal of signals) process.off(signal, interrupt)
  }
}

function describeMirror(wish: MirrorWish): string {
  return `${wish.interface} ${wish.directions.join(' and ')}, ${describeTunnel(wish.tunnel)},`
}

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) writeToStandardError(`mirror-sender: warning: ${warning}\n`)
}

function planText(
  wish: MirrorWish,
  place: string,
  steps: readonly Step[],
  at: (argv: readonly string[]) => readonly string[],
): string {
  const title = `# ${describeMirror(wish)} on ${place}`
  if (steps.length === 0) return `${title}: it is there, nothing is to be done\n`
  const undo = steps.toReversed().flatMap((step) => (step.undo === undefined ? [] : [step.undo]))
  const lines = (commands: readonly (readonly string[])[]): string[] => commands.map((argv) => shellText(at(argv)))
  const programs = steps.flatMap(({ program }) =>
    program === undefined
      ? []
      : [
          `# ${PROGRAM_PATH} is eBPF (${program.name}) that "up" loads, ${program.instructions.length / 8} instructions`,
        ],
  )
  return [title, ...programs, ...lines(steps.map(({ argv }) => argv)), '# and to undo it', ...lines(undo), ''].join(
    '\n',
  )
}

/** So that a shell takes it as it is. */
function shellText(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
}
