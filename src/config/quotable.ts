import { pairsOf } from './query.ts'

const HIDDEN = '***'
const SECRET = /pass|pwd|secret|token|credential/i

/** Whether a setting of this name may have a secret as its value, meant or by mistake. */
export function looksSecret(key: string): boolean {
  return SECRET.test(key)
}

/**
 * A sink or a listener as a message may quote it: messages go to logs that others read. Left out are `user:password@` and
 * values of settings that look secret; where it may `takeSecrets`, of those that are not `known`, too: a mistyped one's.
 */
export function quotable(text: string, known: readonly string[], takesSecrets: boolean): string {
  const [location = '', ...query] = text.split('?')
  const shown = location.replace(/([:,/][^:@,/]*):[^@]*@/g, `$1:${HIDDEN}@`).replace(/(&[^=&]*=)[^&]*/g, `$1${HIDDEN}`)
  if (query.length === 0) return shown
  const pairs = pairsOf(query.join('?')).map((pair) => quotablePair(pair, known, takesSecrets))
  return `${shown}?${pairs.join('&')}`
}

/** One setting of it. */
export function quotablePair(pair: string, known: readonly string[], takesSecrets: boolean): string {
  const at = pair.indexOf('=')
  if (at < 0) return takesSecrets ? HIDDEN : pair
  const key = pair.slice(0, at)
  const isPlain = !looksSecret(key) && (!takesSecrets || known.includes(key))
  return isPlain ? pair : `${key}=${HIDDEN}`
}
