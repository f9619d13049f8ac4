import { z } from 'zod'
import { problem } from '../../config/terms/problem.ts'
import { byteSize, duration, positiveInteger } from '../../config/terms/units.ts'
import { PathTemplateError } from '../../pcap-writer/errors.ts'
import { PathTemplate } from '../../pcap-writer/path-template.ts'
import { LINKTYPE_ETHERNET } from '../../wire/link-type.ts'
import type { FileOptions, KeepOption, RotateOption } from './file-options.ts'

const path = z.string().superRefine((text, context) => {
  if (text === '-') return
  try {
    new PathTemplate(text)
  } catch (error) {
    if (!(error instanceof PathTemplateError)) throw error
    context.addIssue(error.message)
  }
})

/** "100MiB", "60s" or "100MiB,60s". */
const rotate = z.string().transform((text, context): RotateOption => {
  let result: RotateOption = {}
  for (const part of text.split(',')) {
    const bytes = byteSize.safeParse(part).data
    const milliseconds = duration.safeParse(part).data
    if (bytes !== undefined) result = { ...result, bytes }
    else if (milliseconds !== undefined && milliseconds % 1000 === 0)
      result = { ...result, seconds: milliseconds / 1000 }
    else {
      context.addIssue(
        problem(
          `"${part}" is neither a size nor whole seconds`,
          'Write e.g. rotate=100MiB, rotate=60s or rotate=100MiB,1h.',
        ),
      )
      return z.NEVER
    }
  }
  return result
})

/** "10", "10GiB" or "10,10GiB". */
const keep = z.string().transform((text, context): KeepOption => {
  let result: KeepOption = {}
  for (const part of text.split(',')) {
    const files = positiveInteger.safeParse(part).data
    const bytes = byteSize.safeParse(part).data
    if (files !== undefined) result = { ...result, files }
    else if (bytes !== undefined) result = { ...result, bytes }
    else {
      context.addIssue(
        problem(
          `"${part}" is neither a number of files nor a size`,
          'Write e.g. keep=10, keep=10GiB or keep=10,10GiB.',
        ),
      )
      return z.NEVER
    }
  }
  return result
})

const common = {
  target: path,
  rotate: rotate.optional(),
  keep: keep.optional(),
  compress: z.enum(['gzip']).optional(),
  'open-files': positiveInteger.default(128),
}

const PATH_BY_DEFAULT = './mirror-%Y%m%d-%H%M%S'

export const pcapOptions = z.strictObject({
  ...common,
  target: path.default(`${PATH_BY_DEFAULT}.pcap`),
  precision: z.enum(['ns', 'us']).default('ns'),
})

export const pcapngOptions = z.strictObject({
  ...common,
  target: path.default(`${PATH_BY_DEFAULT}.pcapng`),
})

export function pcapngFileOptions(options: z.output<typeof pcapngOptions>, input: string | undefined): FileOptions {
  const { target, rotate: when, keep: which, compress } = options
  return {
    kind: 'pcapng',
    target,
    precision: 'ns',
    rotate: when,
    keep: which,
    input,
    compress,
    openFiles: options['open-files'],
    linkType: LINKTYPE_ETHERNET,
  }
}
