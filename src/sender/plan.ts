import { toBytecode } from './classic-bpf.ts'
import { withoutBlocks } from './exclusion.ts'
import { addMirror, choosePlainPref, choosePref, excludeFrom, mirrorProgram, removeMirror } from './filter-steps.ts'
import type { Classifier } from './kernel.ts'
import { type MirrorWish, type TunnelIdentity, tunnelName } from './mirror.ts'
import { addPlainMirror } from './plain-steps.ts'
import { findLink, type MirrorFilter, type State, type StrandedFilter, type Tunnel } from './state.ts'
import type { Step } from './step.ts'
import { aliasStep, tunnelSteps } from './tunnel-steps.ts'

/**
 * What has to be done so that a mirror is there; nothing where it is. The order is the order of safety: the tunnel is silent
 * before it is up, its packets are left out of every mirror that is there before the first packet can go into it, and the
 * mirror's own filter comes last, with what it leaves out in the same step.
 * The wish has passed `refuse`.
 */
export function planUp(wish: MirrorWish, state: State, classifier: Classifier): Step[] {
  const device = wish.interface
  const index = findLink(state, device)?.index ?? 0
  const tunnel = state.tunnels.find(({ link }) => link.name === tunnelName(wish.tunnel))
  const others = state.tunnels.filter((other) => other !== tunnel)
  const excluded = [...others.map(({ identity }) => identity), wish.tunnel].sort(byName)

  // Their actions have the index that the new filters' have: tc would take those, and the device that they have no more.
  const stranded = state.stranded.filter((each) => each.interface === device && each.tunnel === tunnelName(wish.tunnel))
  if (stranded.length > 0) {
    const cleared = planUp(wish, withoutStranded(state, stranded), classifier)
    return [...planDown([], [], state, stranded), ...cleared]
  }
  const steps = state.leftovers.map(({ name }) => deleteLink(name))
  // The record comes before the act: after a crash between the two nothing is left that nobody knows.
  const clsactIsOurs = !state.hooks.has(device) || recordedClsacts(state).has(index)
  const known = tunnel?.clsact ?? []
  const clsact = clsactIsOurs && !known.includes(index) ? [...known, index] : known
  if (tunnel === undefined) steps.push(...tunnelSteps(wish.tunnel, clsact, classifier))
  else if (clsact !== known) steps.push(aliasStep(tunnel, clsact))
  steps.push(...excludeFrom(state.mirrors, state.tunnels, excluded))
  if (!state.hooks.has(device)) {
    steps.push({
      argv: ['tc', 'qdisc', 'add', 'dev', device, 'clsact'],
      undo: ['tc', 'qdisc', 'del', 'dev', device, 'clsact'],
    })
  }
  const program = mirrorProgram(excluded, wish.filter)
  for (const direction of wish.directions) {
    if (mirrorsOf(state, wish).some((mirror) => mirror.direction === direction)) continue
    if (classifier !== 'bpf') {
      const pref = choosePlainPref(state, device, direction)
      steps.push(...addPlainMirror(classifier, device, direction, pref, wish.tunnel))
    } else {
      const pref = choosePref(state, device, direction)
      steps.push(addMirror({ device, direction, pref, tunnel: wish.tunnel, program }, clsactIsOurs))
    }
  }
  return steps
}

/** The filters that copy the wish's interface into its tunnel. */
export function mirrorsOf(state: State, wish: MirrorWish): MirrorFilter[] {
  const tunnel = tunnelName(wish.tunnel)
  return state.mirrors.filter((mirror) => mirror.interface === wish.interface && mirror.tunnel === tunnel)
}

/**
 * Takes filters away, tunnels that no filter leads into any more, and clsact where it was ours and is empty. Filters go
 * before their tunnel: the other way round leaves a filter that mirrors "to device *".
 */
export function planDown(
  doomed: readonly MirrorFilter[],
  orphans: readonly Tunnel[],
  state: State,
  stranded: readonly StrandedFilter[] = [],
): Step[] {
  const left = state.mirrors.filter((mirror) => !doomed.includes(mirror))
  const used = new Set(left.map(({ tunnel }) => tunnel))
  const touched = new Set(doomed.map(({ tunnel }) => tunnel))
  const isDoomed = (tunnel: Tunnel): boolean =>
    !used.has(tunnel.link.name) && (touched.has(tunnel.link.name) || orphans.includes(tunnel))
  const gone = state.tunnels.filter(isDoomed)
  const staying = state.tunnels.filter((tunnel) => !gone.includes(tunnel))

  const cleared = clearedInterfaces(state, [...doomed, ...stranded], gone)
  const steps = [...doomed, ...stranded].flatMap((mirror) => removeMirror(mirror, state.tunnels))
  for (const { name, hasClsact } of cleared) {
    if (hasClsact) steps.push({ argv: ['tc', 'qdisc', 'del', 'dev', name, 'clsact'], undo: undefined })
  }
  for (const { name } of [...gone.map(({ link }) => link), ...state.leftovers]) steps.push(deleteLink(name))
  for (const tunnel of staying) {
    const clsact = tunnel.clsact.filter((index) => !cleared.some((interfaceOf) => interfaceOf.index === index))
    if (clsact.length < tunnel.clsact.length) steps.push(aliasStep(tunnel, clsact))
  }
  if (gone.length > 0) {
    const excluded = staying.map(({ identity }) => identity).sort(byName)
    steps.push(...excludeFrom(left, staying, excluded))
  }
  return steps
}

/** What is there once these are taken away. */
function withoutStranded(state: State, stranded: readonly StrandedFilter[]): State {
  const cleared = clearedInterfaces(state, stranded, [])
  const indices = cleared.map(({ index }) => index)
  const names = cleared.filter(({ hasClsact }) => hasClsact).map(({ name }) => name)
  return {
    ...state,
    leftovers: [],
    stranded: state.stranded.filter((filter) => !stranded.includes(filter)),
    hooks: new Map([...state.hooks].filter(([name]) => !names.includes(name))),
    tunnels: state.tunnels.map((each) => ({
      ...each,
      clsact: each.clsact.filter((index) => !indices.includes(index)),
    })),
  }
}

function deleteLink(name: string): Step {
  return { argv: ['ip', 'link', 'del', name], undo: undefined }
}

/** Interfaces whose clsact was ours and which no mirror of ours needs any more. It goes only where it is empty. */
function clearedInterfaces(
  state: State,
  doomed: readonly MirrorFilter[],
  gone: readonly Tunnel[],
): { name: string; index: number; hasClsact: boolean }[] {
  const recorded = recordedClsacts(state)
  const left = [...state.mirrors, ...state.stranded].filter((filter) => !doomed.includes(filter))
  const candidates = new Set(gone.flatMap(({ clsact }) => clsact))
  for (const mirror of doomed) candidates.add(findLink(state, mirror.interface)?.index ?? 0)
  return state.links
    .filter(({ index }) => recorded.has(index) && candidates.has(index))
    .filter(({ name }) => !left.some((mirror) => mirror.interface === name))
    .map(({ name, index }) => {
      const isEmpty = !state.foreign.some((filter) => filter.interface === name)
      return { name, index, hasClsact: isEmpty && state.hooks.get(name) === 'clsact' }
    })
}

/** Interfaces, by index, whose clsact is ours. */
function recordedClsacts(state: State): ReadonlySet<number> {
  const known = state.stranded.filter(({ clsactIsOurs }) => clsactIsOurs)
  const indices = known.map((filter) => findLink(state, filter.interface)?.index ?? 0)
  return new Set([...state.tunnels.flatMap(({ clsact }) => clsact), ...indices])
}

/** One order for all, so that the same tunnels make the same program. */
function byName(a: TunnelIdentity, b: TunnelIdentity): number {
  return tunnelName(a) < tunnelName(b) ? -1 : 1
}

/** How the mirror that is there differs from the wish; undefined where it does not, or where there is none. */
export function difference(state: State, wish: MirrorWish): string | undefined {
  const present = mirrorsOf(state, wish)
  const extra = present.filter(({ direction }) => !wish.directions.includes(direction))
  if (extra.length > 0) return `mirrors ${extra.map(({ direction }) => direction).join(' and ')}, too`
  const filter = toBytecode(mirrorProgram([], wish.filter))
  const isOther = present.some(({ kind, program }) => kind === 'bpf' && toBytecode(withoutBlocks(program)) !== filter)
  return isOther ? 'has another filter' : undefined
}
