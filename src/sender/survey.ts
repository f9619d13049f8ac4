import { EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import type { Place } from './commands.ts'
import { inspect } from './inspect.ts'
import { type Classifier, probeKernel } from './kernel.ts'
import type { MirrorWish } from './mirror.ts'
import { mtuWarning, neededMtu } from './mtu.ts'
import { mirrorsOf, planUp } from './plan.ts'
import { refuse } from './refuse.ts'
import { addressedInterfaces, findRoute } from './route.ts'
import { findLink, type State } from './state.ts'
import type { Step } from './step.ts'

export interface Survey {
  /** None: the mirror is there. */
  readonly steps: readonly Step[]
  readonly warnings: readonly string[]
  /** The MTU that the way to the collector should have; undefined where its first link has less. */
  readonly needed: number | undefined
}

/** Looks at what is there, refuses what cannot be, and plans the rest. Changes nothing. Throws Failure. */
export async function survey(wish: MirrorWish, place: Place): Promise<Survey> {
  const state = await inspect(place)
  const route = await findRoute(place, wish.tunnel.collector)
  const addressed = await addressedInterfaces(place)
  const kernel = await probeKernel(wish.tunnel)
  refuse(wish, { state, kernel, route, addressed, placeOption: place.option })
  const classifier: Classifier = kernel?.classifiers[0] ?? 'bpf'
  const tooSmall = mtuWarning(wish, state, route!)
  const warnings = [tooSmall, downWarning(wish, state), orderWarning(wish, state), classifierWarning(classifier)]
  return {
    steps: planUp(wish, state, classifier),
    warnings: warnings.filter((warning) => warning !== undefined),
    needed: tooSmall === undefined ? neededMtu(wish, state) : undefined,
  }
}

/** Looks whether the mirror is there, after the steps. Throws Failure. */
export async function verifyMirror(wish: MirrorWish, place: Place): Promise<void> {
  const present = mirrorsOf(await inspect(place), wish)
  if (wish.directions.every((direction) => present.some((mirror) => mirror.direction === direction))) return
  throw new Failure(
    EXIT_UNAVAILABLE,
    `The filters on ${wish.interface} do not lead into the tunnel's device: an action of another filter was in the way.`,
    'See tc actions ls action mirred, and delete the filters whose action leads to device "*".',
  )
}

function downWarning({ interface: name }: MirrorWish, state: State): string | undefined {
  return findLink(state, name)?.isUp ? undefined : `${name} is down: there is nothing to mirror until it is up.`
}

function classifierWarning(classifier: Classifier): string | undefined {
  if (classifier !== 'flower') return undefined
  return 'This kernel has neither the classifier bpf nor u32: ICMP errors are not mirrored, whatever they are about.'
}

/** What a filter takes out of a packet's way, those behind it do not see. */
function orderWarning({ interface: name, directions }: MirrorWish, { foreign }: State): string | undefined {
  const isFirst = (filter: (typeof foreign)[number]): boolean => filter.interface === name && filter.pref === 1
  const taken = foreign.filter((filter) => isFirst(filter) && directions.includes(filter.direction))
  if (taken.length === 0) return undefined
  const where = [...new Set(taken.map(({ direction }) => direction))].join(' and ')
  return `${name} has a filter with preference 1 on ${where}: packets that it takes are not mirrored.`
}
