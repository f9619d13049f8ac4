import type { CaptureEvents } from './account.ts'
import type { KeepWaiting } from './destination.ts'
import type { SeriesDescription, SeriesStatistics } from './file-interfaces.ts'
import type { PathTemplate, Series } from './path-template.ts'
import type { RecordFormat } from './record-format.ts'
import type { Keep } from './retention.ts'
import type { Rotation } from './rotation.ts'

/** Settings of CaptureFiles. */
export interface CaptureFilesOptions {
  readonly format: RecordFormat
  readonly path: PathTemplate | 'stdout'
  /** Without it a file goes on until `reopen` or `close`. Streams (standard output, FIFO, device) are not rotated. */
  readonly rotate?: Rotation
  readonly keep?: Keep
  /** A file that is neither counted nor removed by `keep`, whatever its name: one that is being read. */
  readonly spare?: string | undefined
  readonly compress?: 'gzip'
  /** Descriptors of files open at a time, 1 or more; 128 by default. A file beyond them is closed and gone on with later. */
  readonly maxOpenFiles?: number
  /** The series that an index stands for; always the same one. */
  series(index: number): Series
  /** What pcapng's readers see of it; by default its encapsulation and tunnel identifier. */
  describe?(series: number): SeriesDescription
  /** Counts for the statistics block at a file's end; without it the file's own are used. */
  statistics?(series: number): SeriesStatistics
  /** False gives up a pipe that is full, so that a thread can be stopped. Default: wait. */
  readonly keepWaiting?: KeepWaiting
  readonly events: CaptureEvents
}
