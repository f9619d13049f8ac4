import { runSender, type SinkThread } from '../thread/loop.ts'
import type { ProducerOptions } from './options.ts'
import { KafkaProducer } from './producer.ts'

runSender((thread: SinkThread<ProducerOptions>) => new KafkaProducer(thread))
