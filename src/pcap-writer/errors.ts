/** A file that cannot be created before anything was written. The message says what happened, its second line how to mend it. */
export class CannotCreateError extends Error {
  override readonly name = 'CannotCreateError'
  readonly path: string

  constructor(path: string, what: string, mend: string, cause?: unknown) {
    super(`Cannot create ${path}: ${what}.\n${mend}`, { cause })
    this.path = path
  }
}

/** A path with a field that does not exist. The message names the field, its second line lists those that do. */
export class PathTemplateError extends Error {
  override readonly name = 'PathTemplateError'
}

/** The system's name of what went wrong ("ENOSPC"), or '' if the error is not the system's. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Why an input ended that the system could not read on. */
export function readingFailed(error: unknown): string {
  return `reading failed: ${errorCode(error) || error}`
}
