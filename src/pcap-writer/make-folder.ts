import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from './errors.ts'

/**
 * Makes a folder with those above it; one that is there stays. Throws system errors. Node's own way with `recursive` never
 * ends where a folder that is there takes no others, as /proc.
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return
    const above = dirname(path)
    if (errorCode(error) !== 'ENOENT' || existsSync(above)) throw error
    makeFolder(above)
    mkdirSync(path)
  }
}
