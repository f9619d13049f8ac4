import { z } from 'zod'
import { EXIT_USAGE, Failure } from '../../config/terms/failure.ts'
import { outputOf } from '../../config/terms/output-of.ts'
import { problem } from '../../config/terms/problem.ts'
import { deviceName, whenDeviceRefused } from '../device/device-name.ts'
import { type Pace, pace } from '../device/pace.ts'
import { SEGMENT_KEY, type Segment, segment } from '../device/segment.ts'
import type { SinkType } from '../sink.ts'
import { startSinkThread } from '../thread/host.ts'

const EXAMPLE = 'tap:ids0?persist=yes&owner=nobody'

const schema = z.strictObject({
  target: deviceName('tap:ids0'),
  persist: z
    .enum(['yes', 'no'], { error: problem('is neither yes nor no', 'Write persist=yes or persist=no.') })
    .optional(),
  owner: z.string().min(1).optional(),
  pace: pace.default('max'),
  segment: segment.default('mtu'),
})

/** What the sink's thread is made from. */
export interface TapSettings {
  readonly name: string
  readonly persist: boolean | undefined
  /** User id. */
  readonly owner: number | undefined
  readonly pace: Pace
  readonly segment: Segment
}

export const tapSink: SinkType<z.output<typeof schema>> = {
  type: 'tap',
  summary: 'a TAP device that an IDS, tcpdump or any other tool listens on',
  keys: [
    'target: its name; it is made if there is none (CAP_NET_ADMIN), and its MTU raised to what arrives',
    'persist=yes | no: whether it stays    owner=USER: who may use it without CAP_NET_ADMIN    pace=: as interface',
    SEGMENT_KEY,
  ],
  example: EXAMPLE,
  takesTarget: true,
  options: schema,
  whenUnwritten: ({ target }) => whenDeviceRefused(target),
  slabBytes: (queue) => queue,
  check: async ({ target, owner }, context) => {
    if (owner !== undefined) userId(owner)
    return [(await import('./check.ts')).checkTap(target, context)]
  },
  open: async ({ target, persist, owner, pace, segment }, context) => {
    const options: TapSettings = {
      name: target,
      persist: persist && persist === 'yes',
      owner: owner === undefined ? undefined : userId(owner),
      pace,
      segment,
    }
    return await startSinkThread(
      {
        thread: new URL('./tap-thread.js', import.meta.url),
        pipelineHalf: new URL('../device/frame-queue.js', import.meta.url),
        options,
        prompt: context.live,
      },
      context,
    )
  },
}

/** Asks `id`, as users may come from a directory and not from /etc/passwd. */
function userId(owner: string): number {
  if (/^\d+$/.test(owner)) return Number(owner)
  try {
    return Number(outputOf('id', '-u', '--', owner))
  } catch {
    throw new Failure(EXIT_USAGE, `owner=${owner}: there is no such user.`, 'Give a name or number that `id` knows.')
  }
}
