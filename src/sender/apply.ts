import { EXIT_INTERRUPTED, EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import { BpfProgram } from '../dgram-extended/bpf-program.ts'
import { SyscallError } from '../dgram-extended/syscall-error.ts'
import { CommandError, type Place, runCommand } from './commands.ts'
import type { CopyProgram } from './copy-program.ts'
import { PROGRAM_PATH, type Step } from './step.ts'

/**
 * Does the steps, one after another. When one fails, or when it is interrupted, those that were done are undone, the last
 * one first; then it throws a Failure. So it is when `verify`, which comes last, throws one.
 */
export async function applySteps(
  steps: readonly Step[],
  place: Place,
  interrupted: AbortSignal,
  verify?: () => Promise<void>,
): Promise<void> {
  const done: Step[] = []
  for (const step of steps) {
    if (interrupted.aborted) {
      const what = `Interrupted. ${await undo(done, place)}`
      throw new Failure(EXIT_INTERRUPTED, what, 'Start again when you like.')
    }
    try {
      await runStep(step, place)
      done.push(step)
    } catch (error) {
      if (!(error instanceof CommandError) && !(error instanceof Failure)) throw error
      const aftermath = await undo(done, place)
      const reason = error instanceof CommandError ? `"${shown(step.argv)}" failed: ${error.said}.` : error.message
      const mend = error instanceof CommandError ? mendOf(error.said) : error.mend
      throw new Failure(EXIT_UNAVAILABLE, `${reason} ${aftermath}`, mend)
    }
  }
  try {
    await verify?.()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new Failure(EXIT_UNAVAILABLE, `${error.message} ${await undo(done, place)}`, error.mend)
  }
}

async function runStep({ argv, program }: Step, place: Place): Promise<void> {
  if (program === undefined) {
    await runCommand(place.argv(argv))
    return
  }
  const loaded = load(program)
  try {
    await runCommand(place.argv(argv.map((word) => (word === PROGRAM_PATH ? loaded.path : word))))
  } finally {
    loaded.close()
  }
}

function load({ name, instructions }: CopyProgram): BpfProgram {
  try {
    return BpfProgram.load(name, instructions)
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error
    const [what = '', mend = 'Leave out --snaplen, --headers and --sample.'] = error.message.split('\n')
    throw new Failure(EXIT_UNAVAILABLE, `The eBPF program cannot be loaded: ${what}.`, mend)
  }
}

/** Does the steps, each of which leaves less behind than was there; goes on past one that fails, and tells at the end. */
export async function removeSteps(steps: readonly Step[], place: Place): Promise<void> {
  const failures: string[] = []
  for (const { argv } of steps) {
    try {
      await runCommand(place.argv(argv))
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      failures.push(`"${shown(argv)}" failed: ${error.said}.`)
    }
  }
  if (failures.length === 0) return
  throw new Failure(EXIT_UNAVAILABLE, failures.join(' '), 'See what is left with mirror-sender status, and try again.')
}

/** What to do about the kernel's more puzzling answers. */
function mendOf(said: string): string {
  if (said.includes('Address already in use')) {
    return "A program on this host has the tunnel's port open (ss -ulnp); give another --port, the collector's too."
  }
  if (said.includes('specified VNI already exists')) {
    return 'A device of another network namespace has that VNI here (moved there?): look with --netns; or give another --vni.'
  }
  if (said.includes('Operation not permitted')) return 'It takes the capability CAP_NET_ADMIN; run it as root.'
  return 'The words are the kernel\'s; "mirror-sender plan" shows the commands.'
}

async function undo(done: readonly Step[], place: Place): Promise<string> {
  const failures: string[] = []
  for (const { undo: argv } of done.toReversed()) {
    if (argv === undefined) continue
    try {
      await runCommand(place.argv(argv))
    } catch (error) {
      failures.push(`"${shown(argv)}": ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  if (failures.length === 0) return done.length === 0 ? 'Nothing was changed.' : 'All has been undone.'
  return `Undoing failed, too: ${failures.join('; ')}; see mirror-sender status.`
}

const LONGEST_SHOWN = 120

function shown(argv: readonly string[]): string {
  const text = argv.join(' ')
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}...`
}
