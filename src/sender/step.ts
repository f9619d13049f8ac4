/** One command of `ip` or `tc`, and the command that takes it back. */
export interface Step {
  readonly argv: readonly string[]
  /** Undefined where the undo of an earlier step takes this one with it. */
  readonly undo: readonly string[] | undefined
}
