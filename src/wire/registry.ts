import type { Encapsulation } from './decapsulator.ts'
import { geneve } from './geneve.ts'
import { gre, greInUdp } from './gre.ts'
import { hpErm } from './hp-erm.ts'
import { tzsp } from './tzsp.ts'
import { vxlan } from './vxlan.ts'
import { vxlanGpe } from './vxlan-gpe.ts'

/** Every encapsulation there is. Its position is the number in FrameBatch's `encapsulation` column. */
export const ENCAPSULATIONS: readonly Encapsulation[] = [vxlan, vxlanGpe, geneve, gre, greInUdp, tzsp, hpErm]

/** The position of an encapsulation by name, or -1. */
export function encapsulationNamed(name: string): number {
  return ENCAPSULATIONS.findIndex((encapsulation) => encapsulation.name === name)
}

/** The position of the encapsulation that owns a UDP port by convention, or -1. */
export function encapsulationOfPort(port: number): number {
  return ENCAPSULATIONS.findIndex((encapsulation) => encapsulation.udpPorts.includes(port))
}
