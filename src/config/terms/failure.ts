/** Exit codes of sysexits(3), as the command line's contract names them. */
export const EXIT_USAGE = 64
export const EXIT_NO_INPUT = 66
export const EXIT_UNAVAILABLE = 69
export const EXIT_SOFTWARE = 70
export const EXIT_CANNOT_CREATE = 73
export const EXIT_IO = 74
export const EXIT_NO_PERMISSION = 77
export const EXIT_CONFIGURATION = 78
/** Shells' own: 128 and the number of SIGINT. */
export const EXIT_INTERRUPTED = 130

/** Ends the program in words for its user: one line what happened, one line how to mend it. Survives a thread's border. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly mend: string
  readonly exitCode: number

  constructor(exitCode: number, what: string, mend: string) {
    super(what)
    this.exitCode = exitCode
    this.mend = mend
  }
}

/** What of an error crosses from a worker to the main thread. */
export interface FailureMessage {
  readonly exitCode: number
  readonly what: string
  readonly mend: string
}

export function toFailureMessage(error: unknown): FailureMessage {
  if (error instanceof Failure) return { exitCode: error.exitCode, what: error.message, mend: error.mend }
  if (isMissingModule(error)) return missingPart(error)
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return {
    exitCode: EXIT_SOFTWARE,
    what,
    mend: 'This is a defect of mirror-collector: please report it with this text.',
  }
}

/** The program is being built or installed, or was not wholly: no defect of ours. */
function isMissingModule(error: unknown): error is Error {
  if (!(error instanceof Error && 'code' in error)) return false
  // The latter of a thread's first module.
  return error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND'
}

function missingPart({ message }: Error): FailureMessage {
  const { exitCode, message: what, mend } = partMissing(message.split('\n')[0]!)
  return { exitCode, what, mend }
}

export function partMissing(which: string): Failure {
  const mend = 'Build it again (npm run build), or install it again.'
  return new Failure(EXIT_UNAVAILABLE, `Part of the program is missing: ${which}.`, mend)
}
