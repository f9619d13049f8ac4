/** How to get into a cluster. Crosses to the thread that does; never logged. */
export interface KafkaAccess {
  /** host:port, at least one; the others are learned from it. */
  readonly brokers: readonly string[]
  readonly tls?: KafkaTls | undefined
  readonly sasl?: KafkaSasl | undefined
}

export interface KafkaTls {
  /** PEM. Without `ca`: those that Node.js trusts. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}
