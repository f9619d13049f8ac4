import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from './errors.ts'

/**
 * Makes a folder with those above it; one that is there, or that somebody makes meanwhile, stays. Throws system errors.
 * Node's own way with `recursive` never ends where a folder that is there takes no others, as /proc.
 */
export function makeFolder(path: string): void {
  if (isMade(path)) return
  makeFolder(dirname(path))
  if (!isMade(path)) mkdirSync(path)
}

/** False where one above it is missing, and where the folder above takes none. */
function isMade(path: string): boolean {
  try {
    mkdirSync(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return true
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
