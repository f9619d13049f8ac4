import { spawnSync } from 'node:child_process'
import { BUILT_COMMAND } from './requirements.ts'

const LIMIT_MS = 20_000
/** The user that owns nothing. */
export const NOBODY = 65_534

export interface Ended {
  readonly exitCode: number | null
  /** Standard error, line by line. */
  readonly lines: readonly string[]
  readonly stdout: Buffer
}

/** Runs the built command to its end, for runs that end by themselves. `as`: words in front of it, such as setpriv's. */
export function runCommand(args: readonly string[], as: readonly string[] = []): Ended {
  const argv = [...as, process.execPath, BUILT_COMMAND, ...args]
  const { status, stdout, stderr } = spawnSync(argv[0]!, argv.slice(1), { timeout: LIMIT_MS, maxBuffer: 1 << 30 })
  return { exitCode: status, lines: stderr.toString().trimEnd().split('\n'), stdout }
}
