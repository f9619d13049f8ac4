import type { Listener } from '../sources/source.ts'
import { ENCAPSULATIONS, encapsulationNamed } from '../wire/registry.ts'

/** Where tunnels are looked for: UDP destination port or IP protocol -> index of an encapsulation; -1 = nothing. */
export class TunnelTable {
  readonly byPort: Int16Array = new Int16Array(65_536).fill(-1)
  readonly byProtocol: Int16Array = new Int16Array(256).fill(-1)

  /** An encapsulation with all that it owns by convention. */
  addConvention(encapsulation: number): void {
    const { udpPorts, ipProtocol } = ENCAPSULATIONS[encapsulation]!
    for (const port of udpPorts) this.byPort[port] = encapsulation
    if (ipProtocol !== undefined) this.byProtocol[ipProtocol] = encapsulation
  }

  addListener({ encapsulation, port }: Listener): void {
    const { ipProtocol } = ENCAPSULATIONS[encapsulation]!
    if (ipProtocol === undefined) this.byPort[port] = encapsulation
    else this.byProtocol[ipProtocol] = encapsulation
  }
}

/** Tunnels on the outside: those that are listened for, or without listeners all that encapsulations own by convention. */
export function outerTunnels(listeners: readonly Listener[]): TunnelTable {
  const table = new TunnelTable()
  for (const listener of listeners) table.addListener(listener)
  if (listeners.length === 0) for (const index of ENCAPSULATIONS.keys()) table.addConvention(index)
  return table
}

/** Tunnels inside others: by convention, and on the ports that are listened on. `names`: those encapsulations alone. */
export function innerTunnels(listeners: readonly Listener[], names?: readonly string[]): TunnelTable {
  const table = new TunnelTable()
  const wanted = names?.map(encapsulationNamed) ?? [...ENCAPSULATIONS.keys()]
  for (const index of wanted) table.addConvention(index)
  // The user's word on a port goes above convention's, also where it takes a port away from the wanted ones.
  for (const listener of listeners) {
    if (wanted.includes(listener.encapsulation)) table.addListener(listener)
    else if (table.byPort[listener.port] !== -1) table.byPort[listener.port] = -1
  }
  return table
}
