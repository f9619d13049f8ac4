import { spawnSync } from 'node:child_process'
import { attempt } from './live.ts'
import type { Place } from './place.ts'
import { collectorWith, onVxlanDevice, type Receiver, reference } from './receivers.ts'
import { machine, type Row, type Settings } from './report.ts'

const LENGTHS = [64, 128, 256, 512, 1024, 1400]
/** What README shows. */
const PICTURE: string = new URL('throughput.svg', import.meta.url).pathname
/** No limit: what the generator can give, and the machine shares between it and the receiver. */
const FASTEST = Number.POSITIVE_INFINITY

interface Curve {
  readonly name: string
  /** By frame length: frames written a second, and microseconds of CPU for each. */
  readonly rates: number[]
  readonly costs: number[]
}

/** Frames written a second in a flood, and their CPU, over frame length, ours beside others, a flood for each point; draws both with gnuplot. */
export async function plot(place: Place, settings: Settings): Promise<Row[]> {
  const c = reference(place)
  const receivers: [string, Receiver][] = [
    ['mirror-collector, udp', collectorWith('udp')],
    ['mirror-collector, ring', collectorWith('ring')],
    ['mirror-collector, node:dgram', collectorWith('dgram')],
    ['tcpdump on a vxlan device', onVxlanDevice('tcpdump')],
    ['dumpcap on a vxlan device', onVxlanDevice('dumpcap')],
  ]
  if (c !== undefined) receivers.push(['C, recvmmsg', c])
  const curves: Curve[] = receivers.map(([name]) => ({ name, rates: [], costs: [] }))
  for (const inner of settings.quick ? [64, 1400] : LENGTHS) {
    for (const [which, [, receiver]] of receivers.entries()) {
      const { written, seconds, cpuMicroseconds } = await attempt(place, receiver, inner, FASTEST, settings.seconds)
      curves[which]!.rates.push(written / seconds)
      curves[which]!.costs.push(cpuMicroseconds)
    }
  }
  return [...curves.map((curve) => row(curve, settings)), drawn(curves, settings)]
}

function row({ name, rates, costs }: Curve, { quick }: Settings): Row {
  const lengths = (quick ? [64, 1400] : LENGTHS).join(', ')
  const thousands = rates.map((rate) => Math.round(rate / 1000)).join(', ')
  return {
    part: 'plot',
    measure: `${name}: k frames written a second in a flood, and us of CPU for each, at ${lengths} bytes`,
    ours: `${thousands}; ${costs.map((cost) => cost.toFixed(2)).join(', ')}`,
    samples: { rates, costs },
  }
}

function drawn(curves: readonly Curve[], { quick }: Settings): Row {
  if (quick) return { part: 'plot', measure: 'a quick run draws nothing' }
  const { error, status, stderr } = spawnSync('gnuplot', { input: script(curves), encoding: 'utf8' })
  if (error !== undefined) return { part: 'plot', measure: 'this machine lacks gnuplot: nothing was drawn' }
  if (status !== 0) throw new Error(`gnuplot: ${stderr}`)
  return { part: 'plot', measure: 'drawn in test/bench/throughput.svg' }
}

/** gnuplot's: two diagrams side by side from data in the script itself. */
function script(curves: readonly Curve[]): string {
  const data = curves.map(({ rates, costs }, i) => {
    const lines = LENGTHS.map((length, k) => `${length} ${rates[k]! / 1e6} ${costs[k]}`)
    return `$curve${i} << END\n${lines.join('\n')}\nEND`
  })
  const lines = (column: number) =>
    curves.map(({ name }, i) => `$curve${i} using 1:${column} with linespoints lw 2 title "${name}"`).join(', ')
  return `${data.join('\n')}
set terminal svg size 1000,560 background rgb 'white' font 'sans-serif,12'
set output '${PICTURE}'
set multiplot layout 1,2 title "Flooded by a sender on the same two cores\\n${machine()}"
set grid
set xlabel 'bytes of the inner frame'
set key below maxcols 2
set xrange [0:1450]
set yrange [0:*]
set title 'million frames written a second'
plot ${lines(2)}
set title 'microseconds of CPU for each frame written'
plot ${lines(3)}
unset multiplot
`
}
