/** What has to be undone when the benchmark ends, in whatever way it ends; undone in reverse order. */

const pending: (() => void)[] = []

/** Runs `action` at the end, or earlier when the returned function is called; once in any case. */
export function atEnd(action: () => void): () => void {
  pending.push(action)
  return () => {
    const index = pending.indexOf(action)
    if (index < 0) return
    pending.splice(index, 1)
    action()
  }
}

function undoAll(): void {
  for (let action = pending.pop(); action !== undefined; action = pending.pop()) {
    try {
      action()
    } catch (error) {
      process.stderr.write(`${String(error)}\n`)
    }
  }
}

process.once('exit', undoAll)
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => process.exit(code))
}
