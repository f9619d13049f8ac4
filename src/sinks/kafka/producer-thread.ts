import { PeerTable } from '../../frames/peer-table.ts'
import { runSender, type SinkThread } from '../thread/loop.ts'
import type { ProducerOptions } from './options.ts'
import { KafkaProducer } from './producer.ts'

runSender((thread: SinkThread<ProducerOptions>) => {
  const { peers } = thread.wiring
  return new KafkaProducer(thread, peers && PeerTable.reader(peers))
})
