/**
 * `key=value&key=value`, percent-decoded; a text tells what is wrong. `reserved`: keys that are said elsewhere. `quote`: a
 * pair as a message may quote it.
 */
export function parseQuery(
  query: string,
  quote: (pair: string) => string,
  reserved: readonly string[] = [],
): Record<string, string> | string {
  const settings: Record<string, string> = {}
  for (const pair of pairsOf(query)) {
    const at = pair.indexOf('=')
    if (at < 1) return `"${quote(pair)}" is not key=value`
    const key = pair.slice(0, at)
    // An object would swallow it without a word.
    if (key === '__proto__' || reserved.includes(key)) return `"${key}" is no setting`
    if (Object.hasOwn(settings, key)) return `"${key}" is given twice`
    try {
      settings[key] = decodeURIComponent(pair.slice(at + 1))
    } catch {
      return `"${quote(pair)}" has a % that no two hex digits follow; %25 is the sign itself`
    }
  }
  return settings
}

/** The settings one by one. An `&` stands between them where `key=` follows; inside a filter, as in `tcp[13] & 2 != 0`, it is the filter's. */
export function pairsOf(query: string): string[] {
  const pairs: string[] = []
  for (const part of query.split('&')) {
    const last = pairs.length - 1
    if (last >= 0 && pairs[last]!.startsWith('filter=') && !/^[a-z][a-z-]*=/.test(part)) pairs[last] += `&${part}`
    else pairs.push(part)
  }
  return pairs.map((pair) => pair.replace(/&+$/, '')).filter((pair) => pair !== '')
}
