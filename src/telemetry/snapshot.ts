import type { Report } from './report.ts'

/** What is known at one moment. */
export interface Snapshot {
  readonly report: Report
  /** Lengths on the wire of the packets received and of the frames delivered. */
  readonly receivedBytes: number
  readonly deliveredBytes: number
  /** Of the input file, as it is compressed there. */
  readonly inputBytes: number
  /** Address of a host that sends tunnels -> frames delivered; empty where nobody asked for them. */
  readonly peers: Record<string, number>
}
