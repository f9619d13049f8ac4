import { execFileSync } from 'node:child_process'
import { numberOf } from './sender.ts'

/**
 * Numbers of the frames that tcpdump reads from a capture, in its order; many times faster than tshark. What is cut off at the end it
 * leaves out and complains about: an error, unless `mayBeCut`.
 */
export function numbersRead(file: string, mayBeCut = false): number[] {
  const script = mayBeCut
    ? 'tcpdump -nn -xx -t -r "$1" 2>/dev/null || true'
    : 'exec tcpdump -nn -xx -t -r "$1" 2>/dev/null'
  const text = execFileSync('sh', ['-c', script, 'sh', file], { encoding: 'utf8', maxBuffer: 1 << 30 })
  const frames = text.split(/^(?=\S)/m).filter((frame) => frame.includes('\n\t0x0000:'))
  return frames.map((frame) =>
    numberOf([...frame.matchAll(/^\t0x[0-9a-f]+: {2}(.*)$/gm)].map((line) => line[1]!.replaceAll(' ', '')).join('')),
  )
}
