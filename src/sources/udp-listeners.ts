import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'
import { portOwner } from './port-owner.ts'
import type { Listener } from './source.ts'

/** One socket to open for a listener. */
export interface SocketAddress {
  readonly listener: Listener
  readonly address: string
  /** Whether collecting can go on without this socket, given why it could not be opened. */
  optional(error: unknown): boolean
}

/** The addresses to bind: a listener without a host gets one socket a family. */
export function socketAddresses(listeners: readonly Listener[]): SocketAddress[] {
  const needed = () => false
  return listeners.flatMap((listener) => {
    if (listener.host !== undefined) return [{ listener, address: listener.host, optional: needed }]
    const noIpv6 = (error: unknown) => errorCode(error) === 'EAFNOSUPPORT' || errorCode(error) === 'EADDRNOTAVAIL'
    return [
      { listener, address: '0.0.0.0', optional: needed },
      { listener, address: '::', optional: noIpv6 },
    ]
  })
}

/** What raw sockets and rings need, and how to give it. */
export const NEEDS_RAW =
  'Run it as root, or give the capability: AmbientCapabilities=CAP_NET_RAW in a systemd unit, --cap-add NET_RAW in Docker, or "setcap cap_net_raw+ep" on the node binary (every Node.js program then has it).'

/** As the log and programs that wait for it read it: `0.0.0.0:4789 (vxlan)`, `0.0.0.0 (gre)`. */
export function describeListener(address: string, port: number, encapsulation: number): string {
  const host = address.includes(':') ? `[${address}]` : address
  const { name, ipProtocol } = ENCAPSULATIONS[encapsulation]!
  return ipProtocol === undefined ? `${host}:${port} (${name})` : `${host} (${name})`
}

/** Why a socket could not be opened, in words for the user. */
export function openFailure(error: unknown, address: string, { port, encapsulation }: Listener): unknown {
  const { name, ipProtocol } = ENCAPSULATIONS[encapsulation]!
  const where =
    ipProtocol === undefined ? `UDP ${address} port ${port}` : `IP protocol ${ipProtocol} (${name}) at ${address}`
  switch (errorCode(error)) {
    case 'EPERM':
      return new Failure(EXIT_NO_PERMISSION, `${where} needs CAP_NET_RAW.`, NEEDS_RAW)
    case 'EADDRINUSE': {
      const owner = portOwner(port)
      const other = `use --engine ring, or another port with --listen :PORT, on the senders too`
      if (owner === undefined) {
        return new Failure(EXIT_UNAVAILABLE, `${where} is in use.`, `Find its owner with "ss -ulnp", or ${other}.`)
      }
      return new Failure(EXIT_UNAVAILABLE, `${where} is in use by ${owner.text}.`, `${owner.mend}, or ${other}.`)
    }
    case 'EADDRNOTAVAIL':
      return new Failure(
        EXIT_UNAVAILABLE,
        `${where}: this machine has no such address.`,
        '"ip address" lists those it has; --listen :PORT takes them all.',
      )
    case 'EACCES':
      return new Failure(
        EXIT_NO_PERMISSION,
        `${where} needs CAP_NET_BIND_SERVICE.`,
        'Use a port above 1023, or give the capability with AmbientCapabilities=CAP_NET_BIND_SERVICE.',
      )
    case 'ENODEV':
      return new Failure(
        EXIT_UNAVAILABLE,
        `${where}: there is no interface ${address.split('%')[1]} with a link-local address.`,
        '"ip -6 address" lists those there are.',
      )
    case 'EINVAL':
      if (!/^fe[89ab]/i.test(address)) return error
      return new Failure(
        EXIT_UNAVAILABLE,
        `${where}: the kernel cannot bind to it.`,
        'A link-local address needs the name of its interface behind it: [fe80::1%eth0].',
      )
    case 'EAFNOSUPPORT':
      return new Failure(EXIT_UNAVAILABLE, `${where}: this machine has no IPv6.`, 'Listen on an IPv4 address.')
    default:
      return error
  }
}

/** Said when less was granted than the user asked for. `reported`: SO_RCVBUF as it reads, on Linux twice the grant (socket(7)). */
export function bufferWarning(engine: string, asked: number, reported: number): string | undefined {
  const granted = process.platform === 'linux' ? reported / 2 : reported
  if (granted >= asked) return undefined
  return (
    `Receive buffer: asked for ${asked} bytes, got ${granted}; bursts will be lost. ` +
    `Raise it with "sysctl -w net.core.rmem_max=${asked}", or ${exceedLimit(engine)}.`
  )
}

/** How a receive buffer gets above net.core.rmem_max. Node.js asks with SO_RCVBUF, which no capability takes above it. */
export function exceedLimit(engine: string): string {
  return engine === 'dgram' ? 'use --engine udp with CAP_NET_ADMIN' : 'give CAP_NET_ADMIN'
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
