import type { Finding } from '../../config/terms/finding.ts'

/** A line of `check`. */
export interface Item extends Finding {
  /** What was looked at, in a word or two. */
  readonly about: string
}
