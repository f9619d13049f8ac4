import { z } from 'zod'
import { type SinkText, sinkText } from './sink-wish.ts'
import { problem } from './terms/problem.ts'

const HOW = 'Write e.g. --quarantine refused.pcapng, or refused-%H%M.pcapng?rotate=1h&keep=24.'

/** `FILE[?key=value&key=value]`, as behind `--out pcapng:`; frames cannot be chosen by VNI where none was read. */
export const quarantine: z.ZodType<SinkText, string> = z.string().transform((text, context) => {
  const parsed = sinkText.safeParse(`pcapng:${text}`)
  const issues = parsed.success ? [] : parsed.error.issues.map(({ message }) => message.replace('"pcapng:', '"'))
  if (parsed.success) issues.push(...refusals(text, parsed.data))
  for (const message of issues) context.addIssue(message)
  return parsed.success && issues.length === 0 ? { ...parsed.data, type: 'quarantine', name: text } : z.NEVER
})

function refusals(text: string, { wanted, filter, options }: SinkText): string[] {
  const { target } = options as { target: string }
  if (text === '' || text.startsWith('?')) return [problem('names no file', HOW)]
  if (target === '-') return [problem('standard output is for frames', HOW)]
  if (/\{(vni|encap)\}/.test(target)) return [problem(`"${text}": a refused packet has no {vni} and no {encap}`, HOW)]
  const choosing = wanted.length > 0 || filter !== undefined
  return choosing ? [problem(`"${text}": a refused packet has no VNI and no frame to choose it by`, HOW)] : []
}
