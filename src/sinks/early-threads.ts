import { FRAME_WRITER, WRITER_THREAD } from './pcap/halves.ts'
import { dismissEarly, startEarly } from './thread/start.ts'

/** A sink as nearly everybody has one, as the word behind `--out` or of one word with it. */
const FILE_SINK = /^(--out=)?pcap(ng)?([:?]|$)/

/** Modules of sinks that a pipeline will load, by a look at the command line before there is a registry to ask. */
export function likelyHalves(argv: readonly string[]): readonly URL[] {
  return argv.some((word) => FILE_SINK.test(word)) ? [FRAME_WRITER] : []
}

/** Starts the thread of the sink that the command line seems to ask for. A word that is no sink costs a thread that is dismissed. */
export function startLikelyThread(argv: readonly string[]): void {
  if (argv.some((word) => FILE_SINK.test(word))) startEarly(WRITER_THREAD)
}

/** The sinks have been opened: no other will take what was started for them. */
export function dismissEarlyThreads(): void {
  dismissEarly()
}
