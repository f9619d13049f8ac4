import { runSender, type SinkThread } from '../thread/loop.ts'
import { FileWriter } from './file-writer.ts'
import type { FileOptions } from './options.ts'

runSender((thread: SinkThread<FileOptions>) => new FileWriter(thread))
