import { setTimeout } from 'node:timers/promises'

const POLL_MS = 10
const LIMIT_MS = 15_000

/** Waits until a condition holds; an error that names it when it does not in time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs: number = LIMIT_MS,
): Promise<void> {
  const end = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`after ${limitMs} ms it was not so that ${what}`)
    await setTimeout(POLL_MS)
  }
}
