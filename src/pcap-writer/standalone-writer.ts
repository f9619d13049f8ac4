import type { CaptureEvents } from './account.ts'
import { CaptureFiles } from './capture-files.ts'
import { checkedSeries, PathTemplate, type Series } from './path-template.ts'
import { PcapFormat } from './pcap-format.ts'
import { PcapngFormat } from './pcapng-format.ts'
import type { RecordColumns, RecordFormat } from './record-format.ts'
import type { Keep } from './retention.ts'
import type { Rotation } from './rotation.ts'

/** Settings of {@link PcapWriter}. */
export interface PcapWriterOptions {
  /** strftime fields in local time, `{vni}` and `{encap}`; `-` is standard output. */
  readonly path: string
  /** `pcap` by default. */
  readonly format?: 'pcap' | 'pcapng'
  /** Unit of pcap's fractions of a second; `ns` by default. pcapng always has nanoseconds. */
  readonly precision?: 'ns' | 'us'
  /** LINKTYPE_ value of every frame; Ethernet by default. */
  readonly linkType?: number
  /** Bytes of a frame that are kept, 1 to 262144, which is the default. */
  readonly snapLength?: number
  readonly rotate?: Rotation
  readonly keep?: Keep
  readonly compress?: 'gzip'
  /** What to hear about; nothing by default. `droppedFrames` tells losses in any case. */
  readonly events?: Partial<CaptureEvents>
}

/** What belongs to a frame beside its bytes. */
export interface FrameInfo {
  /** Whole seconds since 1970, 32 bits. */
  readonly seconds: number
  /** 0 to 999 999 999. */
  readonly nanoseconds: number
  /** Bytes it had on the wire; as many as are given by default. */
  readonly wireLength?: number
  /** The tunnel it came from: letters, digits, hyphens. `{encap}` in the path, the interface's name in pcapng. */
  readonly encapsulation?: string
  /** `{vni}` in the path: 0, the default, to 2^32 - 1. */
  readonly tunnelId?: number
}

/** Frames are gathered to about this many bytes before they are written. */
const CHUNK_BYTES = 1 << 20

const IGNORED: CaptureEvents = {
  opened: () => {},
  closed: () => {},
  trouble: () => {},
  recovered: () => {},
  ended: () => {},
  removed: () => {},
  cannotRemove: () => {},
}

/** Writes frames to capture files, in the calling thread. Frames are copied: the caller keeps its memory. */
export class PcapWriter {
  readonly #format: RecordFormat
  readonly #files: CaptureFiles
  readonly #bytes = new Uint8Array(CHUNK_BYTES)
  readonly #view = new DataView(this.#bytes.buffer)
  readonly #series: Series[] = []
  readonly #indexes = new Map<string, Map<number, number>>()
  /** One row, filled for each frame. */
  readonly #row: RecordColumns = {
    captured: new Uint32Array(1),
    wireLength: new Uint32Array(1),
    seconds: new Uint32Array(1),
    nanoseconds: new Uint32Array(1),
  }
  /** The records in [#start, #end) are all of one series and not handed on yet. */
  #start = 0
  #end = 0
  #frames = 0
  #lastSecond = 0
  #current = 0
  #isClosed = false

  /** Creates the first file. Throws a CannotCreateError, or a PathTemplateError for a field that does not exist. */
  constructor(options: PcapWriterOptions) {
    this.#format = options.format === 'pcapng' ? new PcapngFormat(options) : new PcapFormat(options)
    this.#files = new CaptureFiles({
      format: this.#format,
      path: options.path === '-' ? 'stdout' : new PathTemplate(options.path),
      ...(options.rotate && { rotate: options.rotate }),
      ...(options.keep && { keep: options.keep }),
      ...(options.compress && { compress: options.compress }),
      series: (index) => this.#series[index]!,
      events: { ...IGNORED, ...options.events },
    })
    this.#files.open(Math.floor(Date.now() / 1000))
  }

  /** Frames that are in files; up to date after a flush. */
  get written(): number {
    return this.#files.written
  }

  /** Frames that could not be written: no room, no reader. */
  get droppedFrames(): number {
    return this.#files.droppedFrames
  }

  /** Takes one frame; it is in a file after the next flush at the latest. Longer frames are cut to the snap length. */
  write(frame: Uint8Array, info: FrameInfo): void {
    if (this.#isClosed) throw new Error('This PcapWriter is closed.\nCreate another one to write more frames.')
    const series = this.#indexOf(info.encapsulation ?? 'eth', info.tunnelId ?? 0)
    const captured = Math.min(frame.length, this.#format.snapLength)
    const length = this.#format.recordBytes(captured)
    if (this.#end + length > CHUNK_BYTES) this.flush()
    if (series !== this.#current) this.#handOn()
    this.#fillRow(captured, Math.max(info.wireLength ?? 0, frame.length), info)
    this.#format.writeRecord(this.#view, this.#end, this.#row, 0, series)
    const at = this.#end + this.#format.headerBytes
    this.#bytes.set(captured === frame.length ? frame : frame.subarray(0, captured), at)
    this.#lastSecond = this.#frames === 0 ? info.seconds : Math.max(this.#lastSecond, info.seconds)
    this.#current = series
    this.#end += length
    this.#frames++
  }

  /** Writes all frames taken so far to their files. */
  flush(): void {
    this.#handOn()
    this.#files.commit()
    this.#start = 0
    this.#end = 0
  }

  /** Writes all frames and finishes all files. May be called again. */
  close(): void {
    if (this.#isClosed) return
    this.flush()
    this.#files.close()
    this.#isClosed = true
  }

  #handOn(): void {
    if (this.#frames === 0) return
    this.#files.add(this.#bytes, this.#start, this.#end, this.#frames, this.#lastSecond, this.#current)
    this.#start = this.#end
    this.#frames = 0
  }

  #fillRow(captured: number, wireLength: number, { seconds, nanoseconds }: FrameInfo): void {
    if (!(nanoseconds >= 0 && nanoseconds < 1e9 && seconds >= 0 && seconds <= 0xffff_ffff)) {
      throw new RangeError(
        `Time ${seconds} s + ${nanoseconds} ns is out of range.\nGive seconds below 2^32 and nanoseconds below 10^9.`,
      )
    }
    this.#row.captured[0] = captured
    this.#row.wireLength[0] = wireLength
    this.#row.seconds[0] = seconds
    this.#row.nanoseconds[0] = nanoseconds
  }

  #indexOf(encapsulation: string, tunnelId: number): number {
    let ids = this.#indexes.get(encapsulation)
    if (ids === undefined) {
      ids = new Map()
      this.#indexes.set(encapsulation, ids)
    }
    let index = ids.get(tunnelId)
    if (index === undefined) {
      index = this.#series.push(checkedSeries({ encapsulation, tunnelId })) - 1
      ids.set(tunnelId, index)
    }
    return index
  }
}
