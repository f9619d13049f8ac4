import type { PipelineOptions } from '../pipeline/plan.ts'
import type { Listener } from '../sources/source.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'

/** VNIs have 24 bits (RFC 7348, RFC 8926); other identifiers have GRE's 32, or there are none. */
const LARGEST_NARROW = 2 ** 24 - 1

/** A warning where an identifier is wanted that no listener's packets can have; undefined where there is none. */
export function unreachableIds(wanted: PipelineOptions['wanted'], listeners: readonly Listener[]): string | undefined {
  const isNarrow = listeners.every(({ encapsulation }) => ENCAPSULATIONS[encapsulation]!.identifier === 'VNI')
  const beyond = wanted.filter(({ from, deny }) => !deny && from > LARGEST_NARROW)
  if (listeners.length === 0 || !isNarrow || beyond.length === 0) return undefined
  const names = beyond.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
  return `--vni ${names}: nothing will come, as identifiers of what is listened for end at ${LARGEST_NARROW}; GRE keys have more.`
}
