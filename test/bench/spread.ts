import { join } from 'node:path'
import type { Place } from './place.ts'
import { cpuSeconds, Program, until } from './program.ts'
import { type Engine, startCollector } from './receivers.ts'
import { measured, type Row, type Settings } from './report.ts'
import { median } from './statistics.ts'

const INNER_BYTES = 200
const RATE = 200_000
const WARM_UP_FRAMES = 100_000

interface Spread {
  readonly vnis: number
  readonly peers: number
}

const ONE: Spread = { vnis: 1, peers: 1 }
const MANY_VNIS: Spread = { vnis: 4096, peers: 1 }
const MANY_PEERS: Spread = { vnis: 1, peers: 1000 }

/** CPU for each frame of many tunnels, and from many senders, beside one of each; senders are looked at, as --allow-from asks. */
export async function spread(place: Place, settings: Settings): Promise<Row[]> {
  const rows: Row[] = []
  for (const engine of ['udp', 'ring'] as const) {
    const turns: number[][] = []
    for (let i = 0; i < Math.max(3, settings.repeats); i++) {
      const turn: number[] = []
      for (const which of [ONE, MANY_VNIS, MANY_PEERS]) turn.push(await costOf(place, engine, which, settings.seconds))
      turns.push(turn)
    }
    rows.push(against(engine, '4096 VNIs', turns, 1), against(engine, '1000 peers', turns, 2))
  }
  return rows
}

function against(engine: Engine, what: string, turns: number[][], which: number): Row {
  const [one, many] = [0, which].map((place) => median(turns.map((turn) => turn[place]!)))
  return measured({
    part: 'spread',
    measure: `--engine ${engine}: CPU a frame at ${RATE / 1000} k/s, ${what}`,
    ours: `${many!.toFixed(2)} us`,
    yardstick: `one: ${one!.toFixed(2)} us`,
    ratio: median(turns.map((turn) => turn[which]! / turn[0]!)),
    atMost: 1.15,
    samples: turns,
  })
}

/** Microseconds. @throws when a frame was lost: what was not handled cost nothing */
async function costOf(place: Place, engine: Engine, { vnis, peers }: Spread, seconds: number): Promise<number> {
  const out = `pcap:${join(place.folder, 'spread-%Y%m%d-%H%M%S.pcap')}?rotate=100MiB&keep=1`
  const { program, stop } = await startCollector(place, out, [], engine, ['--allow-from', '198.18.0.0/15'])
  const send = async (count: number) => {
    const argv = ['--device', place.senderDevice, '--address', place.receiverAddress, '--inner', `${INNER_BYTES}`]
    argv.push('--count', `${count}`, '--rate', `${RATE}`, '--vnis', `${vnis}`, '--peers', `${peers}`)
    const script = new URL('spread-generator.ts', import.meta.url).pathname
    const generator = [process.execPath, '--import', import.meta.resolve('tsx'), script, ...argv]
    await new Program(place.inSender(generator)).ended()
  }
  await send(WARM_UP_FRAMES)
  await settled(program.pid)
  const before = cpuSeconds(program.pid)
  const count = RATE * seconds
  await send(count)
  await settled(program.pid)
  const cpu = cpuSeconds(program.pid) - before
  const { written } = await stop()
  const lost = count + WARM_UP_FRAMES - written
  process.stderr.write(
    `  ${engine}, ${vnis} VNIs, ${peers} peers: lost ${lost}, ${((cpu / count) * 1e6).toFixed(3)} us\n`,
  )
  if (lost > 0) throw new Error(`${lost} frames were lost at ${RATE} a second`)
  return (cpu / count) * 1e6
}

/** It uses next to no processor time any more. */
async function settled(pid: number): Promise<void> {
  let before = 0
  await until(
    'the collector comes to rest',
    () => {
      const now = cpuSeconds(pid)
      const rests = now - before < 0.000_5
      before = now
      return rests
    },
    30,
  )
}
