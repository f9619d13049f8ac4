import { z } from 'zod'
import { problem } from './terms/problem.ts'

/** Whom to be once everything is open. */
export interface UserWish {
  readonly user: string
  /** The user's own without it. */
  readonly group: string | undefined
}

/** "NAME", "NAME:GROUP", also numbers. */
export const user = z.string().transform((text, context): UserWish => {
  const [, name, group] = /^([^\s:-][^\s:]*)(?::([^\s:-][^\s:]*))?$/.exec(text) ?? []
  if (name !== undefined) return { user: name, group }
  context.addIssue(problem(`"${text}" is no user`, 'Write e.g. --user mirror or --user mirror:adm.'))
  return z.NEVER
})
