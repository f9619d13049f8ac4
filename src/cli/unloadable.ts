import { toFailureMessage } from '../config/terms/failure.ts'

/** Says why a program's modules could not be loaded, with nothing that may be missing itself. Returns the exit code. */
export function reportUnloadable(program: string, error: unknown): number {
  const { exitCode, what, mend } = toFailureMessage(error)
  process.stderr.write(`${program}: ${what}\n${mend}\n`)
  return exitCode
}
