import { describeFrame } from './frames.ts'

const WIDTH = 62

/** A line for each frame: what was seen, and whether what was collected is the same, byte for byte; both lists keep their order. */
export function compareFrames(
  seen: readonly Buffer[],
  collected: readonly Buffer[],
): { text: string; isSame: boolean } {
  const left = collected.map((frame) => frame.toString('hex'))
  const lines = [`    #  ${'the source saw'.padEnd(WIDTH)}the collector wrote`]
  let same = 0
  for (const [i, frame] of seen.entries()) {
    const at = left.indexOf(frame.toString('hex'))
    if (at >= 0) left.splice(at, 1)
    same += at >= 0 ? 1 : 0
    const verdict = at >= 0 ? `the same ${frame.length} bytes` : 'MISSING'
    lines.push(
      `  ${String(i + 1).padStart(3)}  ${describeFrame(frame)
        .slice(0, WIDTH - 1)
        .padEnd(WIDTH)}${verdict}`,
    )
  }
  for (const hex of left) {
    const frame = Buffer.from(hex, 'hex')
    lines.push(`       ${''.padEnd(WIDTH)}${describeFrame(frame)}, ${frame.length} bytes, which nobody saw`)
  }
  const isSame = same === seen.length && left.length === 0 && seen.length > 0
  lines.push(
    '',
    `   ${seen.length} frames were seen, ${same} of them collected, byte for byte; ${left.length} came from nowhere.`,
  )
  return { text: lines.join('\n'), isSame }
}
