import type uPlotType from 'uplot'
import type { LiveRow, LiveStatus } from '../live-status.ts'
import { type Plot, plotOf } from './plots.ts'
import { bits, bytes, duration, whole } from './units.ts'

/** Comes from /uPlot.js. */
declare const uPlot: typeof uPlotType

const EVERY_MS = 1000
/** Reasons that tell of a user's own choice, not of trouble. */
const CHOSEN = [
  'vni-not-allowed',
  'source-not-allowed',
  'filtered',
  'sampled',
  'duplicate',
  'fragment-reassembled',
  'not-selected',
  'link-type',
]
const KERNEL = 'dropped by the kernel'

let before: { readonly status: LiveStatus; readonly clock: number } | undefined
let plots: readonly Plot[] = []

function element(id: string): HTMLElement {
  return document.getElementById(id)!
}

/** Text only: names come from the network's and the user's side. */
function say(id: string, text: string): void {
  if (element(id).textContent !== text) element(id).textContent = text
}

async function look(): Promise<void> {
  if (document.hidden) return
  try {
    const answer = await fetch('/live', { signal: AbortSignal.timeout(3000) })
    show((await answer.json()) as LiveStatus)
  } catch {
    element('state').dataset.state = 'unreachable'
    say('state', 'no answer')
  }
}

function show(status: LiveStatus): void {
  const clock = performance.now()
  const seconds = before === undefined ? 0 : (clock - before.clock) / 1000
  const earlier = before?.status
  const rise = (now: number, past: number | undefined) =>
    seconds > 0 && past !== undefined ? (now - past) / seconds : 0
  element('state').dataset.state = status.state
  say('state', status.state)
  const { workerRestarts = 0 } = status.report
  const deaths = workerRestarts === 0 ? '' : `; workers started again: ${workerRestarts}`
  say('running', `for ${duration(status.runningSeconds)}${deaths}`)
  say('listening', status.listening.join(', '))
  say('version', `mirror-collector ${status.version}`)
  showTiles(status)
  showWarnings(status.warnings)
  rows('sinks', status.report.sinks, ({ sink, written, bytes: size, dropped }, i) => {
    const trouble = ['sink-overflow', 'sink-error', 'frame-size'].some((reason) => (dropped[reason] ?? 0) > 0)
    const why = Object.entries(dropped).map(([reason, frames]) => `${reason} ${whole(frames)}`)
    const rate = rise(written, earlier?.report.sinks[i]?.written)
    return { cells: [sink, whole(rate), whole(written), bytes(size), why.join(', ') || '0'], trouble }
  })
  const reasons = { [KERNEL]: status.report.kernelDropped, ...status.report.dropped }
  const past: Record<string, number> = { [KERNEL]: earlier?.report.kernelDropped ?? 0, ...earlier?.report.dropped }
  rows('reasons', Object.entries(reasons), ([reason, frames]) => ({
    cells: [reason, whole(rise(frames, past[reason] ?? 0)), whole(frames)],
    trouble: frames > 0 && !CHOSEN.includes(reason),
  }))
  showCounts('vnis', status.vnis, status.vniCount)
  showCounts('peers', status.peers, status.peerCount)
  for (const plot of plots) plot.show(status.history)
  before = { status, clock }
}

function showTiles({ report, receivedBytes, deliveredBytes, history }: LiveStatus): void {
  const now = history.at(-1)
  const dropped = Object.values(report.dropped).reduce((sum, frames) => sum + frames, report.kernelDropped)
  const arrived = report.received + report.kernelDropped
  say('in-rate', whole(now?.received ?? 0))
  say('out-rate', whole(now?.delivered ?? 0))
  say('drop-rate', whole(now?.dropped ?? 0))
  say('in-bits', `${bits(now?.receivedBits ?? 0)} (${bytes(receivedBytes)} in all)`)
  say('out-bits', `${bits(now?.deliveredBits ?? 0)} (${bytes(deliveredBytes)} in all)`)
  say('drop-part', arrived === 0 ? '–' : `${((dropped / arrived) * 100).toFixed(2)} % of all`)
  say('received', whole(report.received))
  say('delivered', whole(report.delivered))
  say('dropped', whole(dropped))
  document.querySelector('.lost')!.classList.toggle('some', dropped > 0)
}

function showWarnings(warnings: readonly string[]): void {
  const list = element('warnings')
  if (warnings.join('\n') === [...list.children].map((each) => each.textContent).join('\n')) return
  list.replaceChildren(
    ...warnings.map((text) => {
      const item = document.createElement('li')
      item.textContent = text
      return item
    }),
  )
}

function showCounts(id: 'vnis' | 'peers', counts: readonly LiveRow[], all: number): void {
  rows(id, counts, ({ name, frames, rate }) => ({ cells: [name, whole(rate), whole(frames)], trouble: false }))
  const of = all > counts.length ? `the busiest ${counts.length} of ${all}` : `${all}`
  say(id === 'vnis' ? 'vni-count' : 'peer-count', of)
}

/** Fills a table's body; cells that stay the same are not touched. */
function rows<Row>(
  id: string,
  list: readonly Row[],
  view: (row: Row, index: number) => { readonly cells: readonly string[]; readonly trouble: boolean },
): void {
  const body = element(id) as HTMLTableSectionElement
  while (body.rows.length > list.length) body.deleteRow(-1)
  for (const [i, each] of list.entries()) {
    const { cells, trouble } = view(each, i)
    const row = body.rows[i] ?? body.insertRow()
    row.classList.toggle('trouble', trouble)
    for (const [column, text] of cells.entries()) {
      const cell = row.cells[column] ?? row.insertCell()
      if (cell.textContent !== text) cell.textContent = text
    }
  }
}

function makePlots(): void {
  for (const plot of plots) plot.remove()
  plots = [
    plotOf(uPlot, element('frames-plot'), [
      { label: 'received', tone: '--in', filled: true, of: ({ received }) => received },
      { label: 'delivered', tone: '--out', of: ({ delivered }) => delivered },
      { label: 'not delivered', tone: '--lost', of: ({ dropped }) => dropped },
    ]),
    plotOf(uPlot, element('bits-plot'), [
      { label: 'received', tone: '--in', filled: true, of: ({ receivedBits }) => receivedBits },
      { label: 'delivered', tone: '--out', of: ({ deliveredBits }) => deliveredBits },
    ]),
  ]
  if (before !== undefined) for (const plot of plots) plot.show(before.status.history)
}

makePlots()
// Colours are drawn, so they are taken anew when the scheme changes.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', makePlots)
addEventListener('resize', () => {
  for (const plot of plots) plot.fit()
})
void look()
setInterval(() => void look(), EVERY_MS)
