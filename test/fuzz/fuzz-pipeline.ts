import type { Corpus } from './corpus.ts'
import { type Setting, settings } from './lane.ts'
import { Packets } from './packets.ts'
import { PipelinePair, type Sabotage } from './pipeline-pair.ts'
import { Random } from './random.ts'

export interface FuzzOptions {
  readonly packets: number
  readonly seed: number
  readonly corpus: Corpus
  readonly sabotage?: Sabotage
  /** After each batch: packets so far. */
  readonly progress?: (packets: number) => void
}

/** Setting -> what became of the packets that went through it. */
export type Ends = Record<string, Record<string, number>>

/** Sends mutated packets through pipelines of every setting. Throws an Error that tells how to see it again. */
export async function fuzzPipeline(options: FuzzOptions): Promise<Ends> {
  const ways = settings()
  const ends: Ends = {}
  let number = 0
  let done = 0
  for (const [name, setting] of ways) {
    number++
    const target = Math.ceil((options.packets * number) / ways.size)
    const random = new Random(options.seed, number)
    const pair = await PipelinePair.create(setting, random, options.sabotage)
    const packets = new Packets()
    for (let batch = 0; done < target; batch++) {
      packets.make(options.corpus, random, { isTunnel: setting.engine === 'udp', jumps: setting.dedup === undefined })
      if (packets.count === 0) continue
      await tried(pair, packets, `setting ${name}, seed ${options.seed}, batch ${batch}`, setting, options)
      done += packets.count
      options.progress?.(done)
    }
    pair.close()
    ends[name] = pair.ends()
  }
  return ends
}

async function tried(
  pair: PipelinePair,
  packets: Packets,
  where: string,
  setting: Setting,
  { seed, sabotage }: FuzzOptions,
): Promise<void> {
  try {
    pair.process(packets)
  } catch (error) {
    const culprits: string[] = []
    for (let row = 0; row < packets.count && culprits.length < 3; row++) {
      const fresh = await PipelinePair.create(setting, new Random(seed), sabotage)
      try {
        fresh.process(packets.only(row))
      } catch (alone) {
        culprits.push(
          `packet ${row}, alone: ${alone instanceof Error ? alone.message : alone}\n${packets.describe(row)}`,
        )
      }
    }
    const story = culprits.length > 0 ? culprits.join('\n') : 'no packet of the batch does it alone'
    throw new Error(`${where}: ${error instanceof Error ? error.stack : error}\n${story}`)
  }
}
