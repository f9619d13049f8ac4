import { PcapFormat } from '../../pcap-writer/pcap-format.ts'
import { PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import type { RecordFormat } from '../../pcap-writer/record-format.ts'

/** When a file gives way to the next. */
export interface RotateOption {
  readonly bytes?: number
  readonly seconds?: number
}

/** Which finished files stay. */
export interface KeepOption {
  readonly files?: number
  readonly bytes?: number
}

/** What decides on the files that there will be. */
export interface NamedFiles {
  readonly target: string
  readonly rotate?: RotateOption | undefined
  readonly keep?: KeepOption | undefined
  readonly compress?: 'gzip' | undefined
}

/** What the sink's thread is made from; both kinds of file have it. */
export interface FileOptions extends NamedFiles {
  readonly kind: 'pcap' | 'pcapng'
  readonly precision: 'ns' | 'us'
  readonly rotate: RotateOption | undefined
  readonly keep: KeepOption | undefined
  /** The file that is read, if one is: `keep` never removes it. */
  readonly input: string | undefined
  readonly compress: 'gzip' | undefined
  readonly openFiles: number
  /** LINKTYPE_ value of a pcap file's frames. */
  readonly linkType: number
}

export function createFormat(options: FileOptions): RecordFormat {
  return options.kind === 'pcap' ? new PcapFormat(options) : new PcapngFormat()
}
