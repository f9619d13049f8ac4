import type uPlot from 'uplot'
import type { Rates } from '../history.ts'
import { short } from './units.ts'

const SHOWN_SECONDS = 120
const DESKTOP_HEIGHT = 210
const PHONE_HEIGHT = 170
const PHONE_WIDTH = 720

export interface Plot {
  show(history: readonly Rates[]): void
  /** To the width that there is. */
  fit(): void
  remove(): void
}

interface Line {
  readonly label: string
  /** CSS variable of its colour. */
  readonly tone: string
  /** Filled below, where another line covers it. */
  readonly filled?: boolean
  of(rates: Rates): number
}

export function plotOf(make: typeof uPlot, place: HTMLElement, lines: readonly Line[]): Plot {
  const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const axis = {
    stroke: colour('--soft'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
  }
  const size = () => ({
    width: place.clientWidth,
    height: innerWidth <= PHONE_WIDTH ? PHONE_HEIGHT : DESKTOP_HEIGHT,
  })
  const plot = new make(
    {
      ...size(),
      // Room for the half of a time that stands at the end.
      padding: [8, 28, 0, 0],
      cursor: { y: false, points: { size: 6 } },
      scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [
        { ...axis, space: 70, values: (_plot, seconds) => seconds.map(clock) },
        { ...axis, size: 58, values: (_plot, values) => values.map(short) },
      ],
      series: [
        { label: 'time', value: (_plot, at) => (at === null ? '–' : clock(at)) },
        ...lines.map(({ label, tone, filled }) => ({
          label,
          stroke: colour(tone),
          ...(filled === true && { fill: `${colour(tone)}30` }),
          width: 2,
          points: { show: false },
          value: (_plot: uPlot, value: number | null) => (value === null ? '–' : short(value)),
        })),
      ],
    },
    [[], ...lines.map(() => [])],
    place,
  )
  return {
    show(history) {
      const last = history.at(-1)
      if (last === undefined) return
      const times = history.map(({ at }) => at / 1000)
      const columns = lines.map(({ of }) => history.map((rates) => of(rates)))
      plot.setData([times, ...columns], false)
      plot.setScale('x', { min: last.at / 1000 - SHOWN_SECONDS, max: last.at / 1000 })
    },
    fit: () => plot.setSize(size()),
    remove: () => plot.destroy(),
  }
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toTimeString().slice(0, 8)
}
