import { openSharedMemoryToRead } from '../../dgram-extended/shared-memory.ts'
import type { SeriesDescription } from '../../pcap-writer/file-interfaces.ts'
import type { FileOptions } from '../pcap/file-options.ts'
import { FileWriter } from '../pcap/file-writer.ts'
import { runSender, type SinkThread } from '../thread/loop.ts'
import { LINKTYPE_WIRESHARK_UPPER_PDU } from './exported-pdu.ts'

/** The series of a packet is its link type: an interface for each. */
function describe(linkType: number): SeriesDescription {
  return linkType === LINKTYPE_WIRESHARK_UPPER_PDU
    ? { name: 'tunnels', description: 'refused tunnels as sockets gave them, without outer headers', linkType }
    : { name: `link-type-${linkType}`, description: 'refused packets as they came', linkType }
}

runSender((thread: SinkThread<FileOptions>) => new FileWriter(thread, describe), openSharedMemoryToRead)
