import { z } from 'zod'
import { deviceName, whenDeviceRefused } from '../device/device-name.ts'
import { type Pace, pace } from '../device/pace.ts'
import { SEGMENT_KEY, type Segment, segment } from '../device/segment.ts'
import type { SinkType } from '../sink.ts'
import { startSinkThread } from '../thread/host.ts'

const schema = z.strictObject({
  target: deviceName('interface:eth1'),
  pace: pace.default('max'),
  segment: segment.default('mtu'),
})

/** What the sink's thread is made from. */
export interface InterfaceSettings {
  readonly name: string
  readonly pace: Pace
  readonly segment: Segment
}

export const interfaceSink: SinkType<z.output<typeof schema>> = {
  type: 'interface',
  summary: 'sent out of a network interface that is there, as they are',
  keys: [
    'target: its name (CAP_NET_RAW); frames above its MTU that cannot be divided are counted as frame-size',
    'pace=max | original | FRAMES_PER_SECOND: original keeps the time between frames, to replay a file',
    SEGMENT_KEY,
  ],
  example: 'interface:eth1',
  takesTarget: true,
  options: schema,
  whenUnwritten: ({ target }) => whenDeviceRefused(target),
  slabBytes: (queue) => queue,
  check: async ({ target }) => [(await import('./check.ts')).checkInterface(target)],
  open: ({ target, pace, segment }, context) => {
    const options: InterfaceSettings = { name: target, pace, segment }
    return startSinkThread(
      {
        thread: new URL('./interface-thread.js', import.meta.url),
        pipelineHalf: new URL('../device/frame-queue.js', import.meta.url),
        options,
        prompt: context.live,
      },
      context,
    )
  },
}
