import type { PipelineOptions } from '../pipeline/plan.ts'
import type { Listener } from '../sources/source.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'

/** A warning where an identifier is wanted that no listener's packets can have; undefined where there is none. */
export function unreachableIds(wanted: PipelineOptions['wanted'], listeners: readonly Listener[]): string | undefined {
  const largest = Math.max(...listeners.map(({ encapsulation }) => ENCAPSULATIONS[encapsulation]!.largestIdentifier))
  const beyond = wanted.filter(({ from, deny }) => !deny && from > largest)
  if (listeners.length === 0 || beyond.length === 0) return undefined
  const names = beyond.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
  return `--vni ${names}: nothing will come, as identifiers of what is listened for end at ${largest}; GRE keys have more.`
}
