import { KafkaBroker } from './broker.ts'
import { TestCluster } from './cluster.ts'
import { KAFKA_BROKERS } from './given-brokers.ts'
import { TOPIC_PREFIX } from './topic.ts'

/** Somebody else's brokers: topics that tests make there are taken away. */
class GivenCluster extends TestCluster {
  readonly address: string

  constructor(address: string) {
    super()
    this.address = address
  }

  async dispose(): Promise<void> {
    await this.admin(async (admin) => {
      const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(TOPIC_PREFIX))
      if (topics.length > 0) await admin.deleteTopics({ topics })
    })
  }
}

/** A cluster for tests that neither stop nor change a broker. */
export async function someCluster(): Promise<TestCluster> {
  return KAFKA_BROKERS === undefined ? await KafkaBroker.start() : new GivenCluster(KAFKA_BROKERS)
}
