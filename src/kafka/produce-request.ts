export const PRODUCE = 0
/** The first version that every broker from 2.1 on speaks, and Kafka 4 still does. */
export const PRODUCE_VERSION = 7

/** One partition's part of a produce request. */
export interface ProducePart {
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
}

/** What the broker says to a part: a protocol error code, 0 = taken. */
export interface ProduceResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
}

/** Produce request, version 7: transactional_id acks timeout [topic [partition records]]. */
export function produceRequest(
  clientId: string,
  correlationId: number,
  acks: number,
  timeoutMs: number,
  parts: readonly ProducePart[],
): readonly Buffer[] {
  const pieces: Buffer[] = []
  const byTopic = new Map<string, ProducePart[]>()
  for (const part of parts) byTopic.set(part.topic, [...(byTopic.get(part.topic) ?? []), part])
  const head = Buffer.alloc(4 + 2 + 2 + 4 + 2 + clientId.length + 2 + 2 + 4 + 4)
  let at = head.writeInt16BE(PRODUCE, 4)
  at = head.writeInt16BE(PRODUCE_VERSION, at)
  at = head.writeInt32BE(correlationId, at)
  at = head.writeInt16BE(clientId.length, at)
  at += head.write(clientId, at, 'latin1')
  at = head.writeInt16BE(-1, at)
  at = head.writeInt16BE(acks, at)
  at = head.writeInt32BE(timeoutMs, at)
  head.writeInt32BE(byTopic.size, at)
  pieces.push(head)
  for (const [topic, ofTopic] of byTopic) {
    const name = Buffer.alloc(2 + topic.length + 4)
    name.writeInt16BE(topic.length)
    name.write(topic, 2, 'latin1')
    name.writeInt32BE(ofTopic.length, 2 + topic.length)
    pieces.push(name)
    for (const { partition, batch } of ofTopic) {
      const own = Buffer.alloc(8)
      own.writeInt32BE(partition)
      own.writeInt32BE(batch.length, 4)
      pieces.push(own, batch)
    }
  }
  head.writeInt32BE(pieces.reduce((sum, piece) => sum + piece.length, 0) - 4)
  return pieces
}

/** Produce response, version 7: [topic [partition error base_offset append_time start_offset]] throttle_time. */
export function readProduceResponse(payload: Buffer): { results: readonly ProduceResult[]; throttleMs: number } {
  const results: ProduceResult[] = []
  let at = 4
  for (let topics = payload.readInt32BE(0); topics > 0; topics--) {
    const length = payload.readInt16BE(at)
    const topic = payload.toString('latin1', at + 2, at + 2 + length)
    at += 2 + length + 4
    for (let partitions = payload.readInt32BE(at - 4); partitions > 0; partitions--) {
      results.push({ topic, partition: payload.readInt32BE(at), errorCode: payload.readInt16BE(at + 4) })
      at += 4 + 2 + 8 + 8 + 8
    }
  }
  return { results, throttleMs: payload.readInt32BE(at) }
}
