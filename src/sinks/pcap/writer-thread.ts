import { openSharedMemoryToRead } from '../../dgram-extended/shared-memory.ts'
import { runSender, type SinkThread } from '../thread/loop.ts'
import type { FileOptions } from './file-options.ts'
import { FileWriter } from './file-writer.ts'

runSender((thread: SinkThread<FileOptions>) => new FileWriter(thread), openSharedMemoryToRead)
