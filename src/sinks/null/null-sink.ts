import { z } from 'zod'
import type { LaneContext, SinkType } from '../sink.ts'

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
  open: async () => {
    const lanes = new Map<number, LaneContext>()
    return {
      pipelineHalf: new URL('./frame-counter.js', import.meta.url),
      attach: (lane) => {
        lanes.set(lane.id, lane)
        return undefined
      },
      detach: (id) => {
        const lane = lanes.get(id)
        lane?.drained(lane.counters.written)
        lanes.delete(id)
      },
      close: async () => {},
      abandon: async () => {},
      hurry: () => {},
      reopen: () => {},
    }
  },
}
