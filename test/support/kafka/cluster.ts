import { type Admin, Kafka, logLevel } from 'kafkajs'

/** Brokers to talk to, whoever runs them. */
export abstract class TestCluster {
  /** `HOST:PORT[,HOST:PORT]` */
  abstract readonly address: string

  /** For afterAll: leaves nothing behind. */
  abstract dispose(): Promise<void>

  /** Runs something on an admin client. */
  async admin<Result>(work: (admin: Admin) => Promise<Result>): Promise<Result> {
    const admin = new Kafka({
      brokers: this.address.split(','),
      logLevel: logLevel.NOTHING,
      retry: { retries: 3, initialRetryTime: 100 },
    }).admin()
    try {
      await admin.connect()
      return await work(admin)
    } finally {
      await admin.disconnect()
    }
  }

  async createTopic(topic: string, numPartitions = 1, config: Readonly<Record<string, string>> = {}): Promise<void> {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    await this.admin((admin) =>
      admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, configEntries }] }),
    )
  }
}
