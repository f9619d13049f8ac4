import { z } from 'zod'
import { deviceName } from '../device/device-name.ts'
import { type Pace, pace } from '../device/pacer.ts'
import type { SinkType } from '../sink.ts'
import { startSinkThread } from '../thread/host.ts'

const schema = z.strictObject({
  target: deviceName('interface:eth1'),
  pace: pace.default('max'),
})

/** What the sink's thread is made from. */
export interface InterfaceSettings {
  readonly name: string
  readonly pace: Pace
}

export const interfaceSink: SinkType<z.output<typeof schema>> = {
  type: 'interface',
  summary: 'sent out of a network interface that is there, as they are',
  keys: [
    'target: its name (CAP_NET_RAW); frames above its MTU are counted as frame-size',
    'pace=max | original | FRAMES_PER_SECOND: original keeps the time between frames, to replay a file',
  ],
  example: 'interface:eth1',
  takesTarget: true,
  options: schema,
  slabBytes: (queue) => queue,
  open: ({ target, pace }, context) => {
    const options: InterfaceSettings = { name: target, pace }
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
