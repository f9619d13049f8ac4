/** Longer than any name. */
const LONGEST = 64

/** The known name that is most like a wrong one, as the end of a message; empty where there is none. */
export function nearestHint(text: string, known: readonly string[]): string {
  const wrong = text.slice(0, LONGEST)
  const nearest = known.toSorted((a, b) => distance(wrong, a) - distance(wrong, b))[0]
  return nearest === undefined ? '' : `; the nearest is "${nearest}"`
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
