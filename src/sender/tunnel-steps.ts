import { isIPv6 } from 'node:net'
import type { FilterInstruction } from '../dgram-extended/libpcap.ts'
import { tunnelAlias } from './alias.ts'
import { BpfAssembler, toBytecode } from './classic-bpf.ts'
import { copyProgram, copyProgramName } from './copy-program.ts'
import type { Classifier } from './kernel.ts'
import { type MirrorWish, optionsFingerprint, tunnelMac, tunnelName } from './mirror.ts'
import type { Tunnel } from './state.ts'
import { PROGRAM_PATH, type Step } from './step.ts'

type TunnelWish = MirrorWish['tunnel']

const DSCP_SHIFT = 2
/** linux/pkt_cls.h: TC_ACT_UNSPEC goes on with the next filter, TC_ACT_SHOT drops. */
const NEXT_FILTER = 0xffffffff
const DROP = 2
const SOURCE_MAC = 6

/** Makes the tunnel device, silent from the start, and brings it up. `clsact`: see Tunnel. */
export function tunnelSteps(wish: TunnelWish, clsact: readonly number[], classifier: Classifier): Step[] {
  const device = tunnelName(wish)
  const identity = wish
  const copies = copyProgramName(wish.copies ?? {})
  const alias = tunnelAlias({ identity, fingerprint: optionsFingerprint(wish), copies, clsact })
  const mtu = wish.mtu === undefined ? [] : ['mtu', String(wish.mtu)]
  const link = ['link', 'add', device, 'address', tunnelMac(wish), ...mtu]
  return [
    { argv: ['ip', ...link, 'type', ...deviceType(wish)], undo: ['ip', 'link', 'del', device] },
    // The kernel takes neither this nor the next in one message with `link add`.
    { argv: ['ip', 'link', 'set', device, 'alias', alias], undo: undefined },
    // No neighbour discovery, no MLD, no ARP of its own.
    {
      argv: ['ip', 'link', 'set', device, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off'],
      undo: undefined,
    },
    ...(classifier === 'bpf' ? guardSteps(device, tunnelMac(wish)) : []),
    ...copySteps(device, wish),
    { argv: ['ip', 'link', 'set', device, 'up'], undo: undefined },
  ]
}

/** Changes the record of whose clsact is ours. */
export function aliasStep(tunnel: Tunnel, clsact: readonly number[]): Step {
  const set = ['ip', 'link', 'set', tunnel.link.name, 'alias']
  return { argv: [...set, tunnelAlias({ ...tunnel, clsact })], undo: [...set, tunnelAlias(tunnel)] }
}

/**
 * Filters on the tunnel device itself. Outwards goes no frame that the device's own address sends: whatever a DHCP client or
 * a routing daemon finds to say on it stays here. Inwards comes nothing: frames that somebody sends to our port would
 * otherwise reach this host as if by a cable.
 */
function guardSteps(device: string, mac: string): Step[] {
  const guard = (direction: string, program: readonly FilterInstruction[]): Step => {
    const filter = ['dev', device, direction, 'pref', '1', 'protocol', 'all', 'handle', '0x1']
    const bytecode = ['bpf', 'bytecode', toBytecode(program), 'direct-action']
    return { argv: ['tc', 'filter', 'add', ...filter, ...bytecode], undo: undefined }
  }
  return [
    { argv: ['tc', 'qdisc', 'add', 'dev', device, 'clsact'], undo: undefined },
    guard('egress', dropOwnFrames(mac)),
    guard('ingress', dropAll()),
  ]
}

/** Cuts and samples what goes into the tunnel, behind the guard. The kernel has had the bpf classifier: see refuse. */
function copySteps(device: string, { copies = {} }: TunnelWish): Step[] {
  const program = copyProgram(copies)
  if (program === undefined) return []
  const filter = ['dev', device, 'egress', 'pref', '2', 'protocol', 'all', 'handle', '0x1']
  const argv = ['tc', 'filter', 'add', ...filter, 'bpf', 'direct-action', 'object-pinned', PROGRAM_PATH]
  return [{ argv, undo: undefined, program }]
}

function dropOwnFrames(mac: string): FilterInstruction[] {
  const bytes = Buffer.from(mac.replaceAll(':', ''), 'hex')
  const a = new BpfAssembler()
  a.load(4, SOURCE_MAC)
  a.ifEqual(bytes.readUInt32BE(0), undefined, 'another')
  a.load(2, SOURCE_MAC + 4)
  a.ifEqual(bytes.readUInt16BE(4), undefined, 'another')
  a.return(DROP)
  a.place('another')
  a.return(NEXT_FILTER)
  return a.assemble()
}

function dropAll(): FilterInstruction[] {
  const a = new BpfAssembler()
  a.return(DROP)
  return a.assemble()
}

function deviceType(wish: TunnelWish): string[] {
  const { encapsulation, collector, port, vni, sourcePorts, ttl, dscp } = wish
  const v6 = isIPv6(collector)
  const tos = dscp === undefined ? [] : [v6 ? 'tclass' : 'tos', hex(dscp << DSCP_SHIFT)]
  const hops = ttl === undefined ? [] : [v6 ? 'hoplimit' : 'ttl', String(ttl)]
  const remote = ['remote', collector]
  const id = String(vni)
  // Devices of GRE set "don't fragment" unless told otherwise, and large frames would be lost.
  const fragments = v6 ? ['encaplimit', 'none'] : ['nopmtudisc', 'ignore-df']
  switch (encapsulation) {
    case 'vxlan': {
      const ports = sourcePorts === undefined ? [] : ['srcport', String(sourcePorts.low), String(sourcePorts.high)]
      const look = [...ports, ...same(hops, 'ttl'), ...same(tos, 'tos')]
      return ['vxlan', 'id', id, ...remote, 'dstport', String(port), ...look, 'nolearning']
    }
    case 'geneve':
      return ['geneve', 'id', id, ...remote, 'dstport', String(port), ...same(hops, 'ttl'), ...same(tos, 'tos')]
    case 'gre':
      return [v6 ? 'ip6gretap' : 'gretap', ...remote, 'key', id, ...hops, ...tos, ...fragments]
    case 'erspan': {
      // ERSPAN II. Its index names the port that was mirrored; iproute2 takes none below 1.
      const version = ['erspan_ver', '1', 'erspan', '1']
      return [v6 ? 'ip6erspan' : 'erspan', 'seq', 'key', id, ...remote, ...version, ...hops, ...tos, ...fragments]
    }
  }
}

/** vxlan and geneve have the same words for both address families. */
function same([, value]: readonly string[], word: string): string[] {
  return value === undefined ? [] : [word, value]
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`
}
