import { z } from 'zod'
import type { SinkType } from '../sink.ts'

const options: z.ZodType<Record<string, never>> = z.strictObject({})

export const nullSink: SinkType<Record<string, never>> = {
  type: 'null',
  summary: 'count and let go',
  keys: [],
  example: 'null',
  takesTarget: false,
  takesRawIp: 'beside-ethernet',
  options,
  slabBytes: () => 0,
  open: async () => ({
    pipelineHalf: new URL('./frame-counter.js', import.meta.url),
    wiring: undefined,
    close: async () => {},
    abandon: async () => {},
    hurry: () => {},
    reopen: () => {},
  }),
}
