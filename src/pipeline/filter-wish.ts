import { EXIT_UNAVAILABLE, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import {
  compileFilter,
  FilterExpressionError,
  type FilterProgram,
  LibpcapMissingError,
} from '../dgram-extended/libpcap.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../wire/link-type.ts'
import type { FilterPrograms } from './row-filter.ts'

/** What a program returns for a frame that it takes; any number but 0. */
const TAKEN = 1
/** "arp" of IP packets: a fine expression of which none is. libpcap says so, where a program could. */
const TAKES_NOTHING = /rejects all packets/
/** BPF_RET | BPF_K */
const RETURN = 0x06
const NOTHING: FilterProgram = { instructions: [{ code: RETURN, jt: 0, jf: 0, k: 0 }] }

/**
 * A filter expression as programs for the frames of the pipeline: Ethernet's, and bare IP packets if there are such
 * (--ip-frames raw). In the main thread, before anything is opened: a host's name may have to be looked up. `option` is
 * where the expression stood, for messages. Throws Failure.
 */
export function compileWish(expression: string, option: string, ipFrames: 'ethernet' | 'raw'): FilterPrograms {
  const ethernet = compile(expression, LINKTYPE_ETHERNET, option)
  if (ipFrames === 'ethernet') return { ethernet, raw: undefined }
  return { ethernet, raw: compile(expression, LINKTYPE_RAW, `${option}, of IP packets without Ethernet`) }
}

function compile(expression: string, linkType: number, option: string): FilterProgram {
  try {
    return compileFilter(expression, linkType, TAKEN)
  } catch (error) {
    if (error instanceof FilterExpressionError) {
      if (linkType === LINKTYPE_RAW && TAKES_NOTHING.test(error.reason)) return NOTHING
      throw new Failure(EXIT_USAGE, `${option}: ${error.reason}`, 'The language is that of tcpdump: see pcap-filter(7).')
    }
    if (!(error instanceof LibpcapMissingError)) throw error
    const [what = '', mend = ''] = error.message.split('\n')
    throw new Failure(EXIT_UNAVAILABLE, `${option}: ${what}`, mend)
  }
}
