import { EXIT_UNAVAILABLE, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import {
  compileFilter,
  FilterExpressionError,
  type FilterProgram,
  LibpcapMissingError,
} from '../dgram-extended/libpcap.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'

/** What the program returns for a frame that it takes; any number but 0. */
const TAKEN = 1

/**
 * A filter expression as a program for the frames of the pipeline, which all are Ethernet's. In the main thread, before
 * anything is opened: a host's name may have to be looked up. `option` is where the expression stood, for messages.
 * Throws Failure.
 */
export function compileWish(expression: string, option: string): FilterProgram {
  try {
    return compileFilter(expression, LINKTYPE_ETHERNET, TAKEN)
  } catch (error) {
    if (error instanceof FilterExpressionError)
      throw new Failure(
        EXIT_USAGE,
        `${option}: ${error.reason}`,
        'The language is that of tcpdump: see pcap-filter(7).',
      )
    if (!(error instanceof LibpcapMissingError)) throw error
    const [what = '', mend = ''] = error.message.split('\n')
    throw new Failure(EXIT_UNAVAILABLE, `${option}: ${what}`, mend)
  }
}
