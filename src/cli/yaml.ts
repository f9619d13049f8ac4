import { createRequire } from 'node:module'

let loaded: typeof import('yaml') | undefined

/** The package, loaded by the first who needs it: its 70 modules would cost every start without a file some 30 ms. */
export function yaml(): typeof import('yaml') {
  loaded ??= createRequire(import.meta.url)('yaml') as typeof import('yaml')
  return loaded
}
