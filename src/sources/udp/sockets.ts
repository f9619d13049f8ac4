import type { DatagramSocket } from '../../dgram-extended/datagram-socket.ts'
import { RawSocket } from '../../dgram-extended/raw-socket.ts'
import { UdpSocket } from '../../dgram-extended/udp-socket.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import type { Listener, SourcePlan } from '../source.ts'
import { openFailure, socketAddresses } from '../udp-listeners.ts'

export interface OpenSocket {
  readonly socket: DatagramSocket & { readonly address: string }
  /** As bound; of a raw socket the IP protocol. */
  readonly port: number
  readonly encapsulation: number
}

/** Where a socket is: structured-clonable. */
interface Place {
  readonly address: string
  readonly port: number
  readonly encapsulation: number
}

interface Legacy extends Place {
  readonly fd: number
}

/** The sockets for a worker's part of the work. Throws Failure. */
export function openSockets(plan: SourcePlan): OpenSocket[] {
  if (plan.legacy !== undefined) return (plan.legacy as Legacy[]).map(adopt)
  const open: OpenSocket[] = []
  try {
    const { share } = plan
    if (share === undefined || share.worker === 0) openAll(plan, share !== undefined, open)
    else for (const place of share.group as Place[]) open.push(join(place, plan.buffer))
    return open
  } catch (error) {
    for (const { socket } of open) socket.close()
    throw error
  }
}

/** For Source.legacy. */
export function legacyOf(open: readonly OpenSocket[]): unknown {
  return open.map(({ socket, ...rest }): Legacy => ({ ...rest, address: socket.address, fd: socket.fd }))
}

/** For Source.group: the sockets of those that are shared. */
export function sharedOf(open: readonly OpenSocket[]): unknown {
  return open
    .filter(({ encapsulation }) => isShareable(encapsulation))
    .map(({ socket: { address }, port, encapsulation }): Place => ({ address, port, encapsulation }))
}

/**
 * Whether several sockets may share what comes for a listener. Not tunnels that number their frames: a mirror's numbers make
 * sense in one place only. And of those without ports every raw socket would get all.
 */
export function isShareable(encapsulation: number): boolean {
  return ENCAPSULATIONS[encapsulation]!.isNumbered !== true
}

function openAll(plan: SourcePlan, isShared: boolean, open: OpenSocket[]): void {
  for (const { listener, address, optional } of socketAddresses(plan.listeners)) {
    try {
      open.push(openOne(listener, address, plan.buffer, isShared && isShareable(listener.encapsulation)))
    } catch (error) {
      if (!optional(error)) throw openFailure(error, address, listener)
    }
  }
}

function openOne(
  { encapsulation, port: wanted }: Listener,
  address: string,
  receiveBuffer: number,
  reusePort: boolean,
): OpenSocket {
  const protocol = ENCAPSULATIONS[encapsulation]!.ipProtocol
  if (protocol !== undefined) {
    return { socket: RawSocket.open({ address, protocol, receiveBuffer }), port: wanted, encapsulation }
  }
  const port = reusePort ? freePort(address, wanted) : wanted
  const socket = UdpSocket.open({ address, port, receiveBuffer, reusePort })
  return { socket, port: socket.port, encapsulation }
}

/** Sockets that share a port would share it with another collector, too, without a word: whether it is free, one that does not tells. */
function freePort(address: string, wanted: number): number {
  const probe = UdpSocket.open({ address, port: wanted })
  probe.close()
  return probe.port
}

function join({ address, port, encapsulation }: Place, receiveBuffer: number): OpenSocket {
  return { socket: UdpSocket.open({ address, port, receiveBuffer, reusePort: true }), port, encapsulation }
}

function adopt({ fd, address, port, encapsulation }: Legacy): OpenSocket {
  const protocol = ENCAPSULATIONS[encapsulation]!.ipProtocol
  const socket = protocol === undefined ? UdpSocket.adopt(fd, address, port) : RawSocket.adopt(fd, address, protocol)
  return { socket, port, encapsulation }
}
