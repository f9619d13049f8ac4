import type { pcapngOptions } from '../pcap/options.ts'
import { pcapngFileOptions } from '../pcap/options.ts'
import { pcapngSink } from '../pcap/pcap-sink.ts'
import type { SinkContext, SinkType } from '../sink.ts'
import { startSinkThread } from '../thread/host.ts'

/** `--quarantine FILE`: refused packets, each with the reason as its comment. No sink for frames, so not among those of `--out`. */
export const quarantineSink: SinkType<ReturnType<typeof pcapngOptions.parse>> = {
  ...pcapngSink,
  type: 'quarantine',
  needsPeers: () => true,
  summary: 'pcapng files of refused packets',
  open: (options, context: SinkContext) =>
    startSinkThread(
      {
        thread: new URL('./writer-thread.js', import.meta.url),
        pipelineHalf: new URL('./packet-writer.js', import.meta.url),
        options: pcapngFileOptions(options, context.input),
        prompt: false,
      },
      context,
    ),
}
