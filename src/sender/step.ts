import type { CopyProgram } from './copy-program.ts'

/** One command of `ip` or `tc`, and the command that takes it back. */
export interface Step {
  readonly argv: readonly string[]
  /** Undefined where the undo of an earlier step takes this one with it. */
  readonly undo: readonly string[] | undefined
  /** Loaded into the kernel for this step: where argv has PROGRAM_PATH, tc finds it. */
  readonly program?: CopyProgram | undefined
}

/** Stands for a path that there is only once the program is loaded, and only while the step is done. */
export const PROGRAM_PATH = 'COPY-PROGRAM'
