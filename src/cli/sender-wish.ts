import { directionsOf, type MirrorOptions } from '../config/sender-options.ts'
import { EXIT_UNAVAILABLE, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import {
  compileFilter,
  FilterExpressionError,
  type FilterInstruction,
  LibpcapMissingError,
} from '../dgram-extended/libpcap.ts'
import { DEFAULT_PORTS, type MirrorWish } from '../sender/mirror.ts'

const ETHERNET = 1
/** More than a frame can have: the filter says yes or no and cuts nothing. */
const WHOLE = 0xffff

/** What the options ask for. Throws Failure where the filter is none. */
export function mirrorWish(options: MirrorOptions): MirrorWish {
  const { encapsulation, collector, vni, sourcePort, ttl, dscp, mtu, snaplen, headers, sample } = options
  const port = options.port ?? DEFAULT_PORTS[encapsulation]
  return {
    interface: options.interface,
    directions: directionsOf(options.direction),
    tunnel: {
      ...{ encapsulation, collector, port, vni, sourcePorts: sourcePort, ttl, dscp, mtu },
      copies: { snaplen, headers, sample },
    },
    filter: options.filter === undefined ? undefined : compiled(options.filter),
  }
}

function compiled(expression: string): readonly FilterInstruction[] {
  try {
    return compileFilter(expression, ETHERNET, WHOLE).instructions
  } catch (error) {
    if (!(error instanceof FilterExpressionError || error instanceof LibpcapMissingError)) throw error
    const [what = '', mend = ''] = error.message.split('\n')
    throw new Failure(error instanceof LibpcapMissingError ? EXIT_UNAVAILABLE : EXIT_USAGE, `--filter: ${what}`, mend)
  }
}
