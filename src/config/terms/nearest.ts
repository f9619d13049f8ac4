/** Longer than any name. */
const LONGEST = 64
/** Of a name's letters, the part that may be wrong in it: with more it is another name. */
const MOST_WRONG = 1 / 3

/** The known name that a wrong one was meant to be, as the end of a message; empty where none is like it. */
export function nearestHint(wrong: string, known: readonly string[]): string {
  const nearest = nearestName(wrong, known)
  return nearest === undefined ? '' : `; the nearest is "${nearest}"`
}

/** Undefined where none is like it. */
export function nearestName(text: string, known: readonly string[]): string | undefined {
  const wrong = text.slice(0, LONGEST)
  const nearest = known.toSorted((a, b) => distance(wrong, a) - distance(wrong, b))[0]
  if (nearest === undefined) return undefined
  const most = Math.max(1, Math.floor(Math.max(wrong.length, nearest.length) * MOST_WRONG))
  return distance(wrong, nearest) <= most ? nearest : undefined
}

/** Levenshtein's: letters to change, add or leave out. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
