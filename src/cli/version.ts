import { readFileSync } from 'node:fs'
import { partMissing } from '../config/terms/failure.ts'

/** The package's version. Throws Failure. */
export function version(): string {
  const manifest = new URL('../../package.json', import.meta.url)
  try {
    return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
  } catch {
    throw partMissing(`${manifest.pathname} cannot be read`)
  }
}
