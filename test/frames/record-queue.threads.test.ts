import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { afterEach, expect, test } from 'vitest'
import { closeRecordQueue } from '../../src/frames/record-queue.ts'
import { Queue } from './queue.ts'

let worker: Worker | undefined
afterEach(async () => {
  await worker?.terminate()
})

interface Ended {
  readonly kind: 'ended'
  readonly records: number
  readonly wrong: number
  readonly waits: number
}

async function startThread(file: string, workerData: unknown): Promise<Worker> {
  const program = new URL(file, import.meta.url).href
  // On Node 20 tsx does nothing for a worker by itself.
  const start = `import('tsx/esm/api').then(({ register }) => (register(), import('${program}')))`
  worker = new Worker(start, { eval: true, execArgv: [], workerData })
  expect(await once(worker, 'message')).toEqual([{ kind: 'started' }])
  return worker
}

async function startConsumer(queue: Queue): Promise<{ ended: Promise<Ended> }> {
  const thread = await startThread('consume-records.ts', { wiring: queue.wiring, slab: queue.slab.buffer })
  return { ended: once(thread, 'message').then(([message]) => message as Ended) }
}

async function untilConsumerSleeps(queue: Queue): Promise<void> {
  while (!queue.consumerSleeps) await setImmediate()
}

/** Lengths that never repeat in step with the ring, without the cost of random numbers. */
function lengthOf(number: number): number {
  return 8 + ((number * 7919) % 1500)
}

test('nothing is lost and the order is kept between two threads that go as fast as they can', async () => {
  const queue = new Queue(100_000)
  const { ended } = await startConsumer(queue)
  const records = 200_000
  for (let number = 0; number < records; number++) {
    while (!queue.put(number, lengthOf(number), number >> 6)) {
      queue.producer.publish()
      queue.producer.waitForRoom(5000)
    }
  }
  queue.producer.close()
  expect(await ended).toMatchObject({ records, wrong: 0 })
  expect(queue.isSoundAround()).toBe(true)
})

test('a consumer that sleeps is woken for every record that is published', async () => {
  const queue = new Queue(10_000)
  const { ended } = await startConsumer(queue)
  const started = performance.now()
  for (let number = 0; number < 50; number++) {
    await untilConsumerSleeps(queue)
    queue.put(number, 100)
    queue.producer.publish()
  }
  await untilConsumerSleeps(queue)
  queue.producer.close()
  expect(await ended).toMatchObject({ records: 50, wrong: 0 })
  // One missed call costs the 5 s that the consumer waits at most.
  expect(performance.now() - started).toBeLessThan(4500)
})

test('an abandoned queue ends its consumer, and tells its producer', async () => {
  const queue = new Queue(10_000)
  const { ended } = await startConsumer(queue)
  await untilConsumerSleeps(queue)
  closeRecordQueue(queue.wiring, 'abandoned')
  expect(await ended).toMatchObject({ records: 0 })
  expect(queue.producer.abandoned()).toBe(true)
})

test('a producer that waits for room learns from another thread that nobody will make any', async () => {
  const queue = new Queue(1000)
  while (queue.put(0, 100)) queue.producer.publish()
  const go = new Int32Array(new SharedArrayBuffer(4))
  await startThread('abandon-queue.ts', { wiring: queue.wiring, go: go.buffer })
  const started = performance.now()
  Atomics.store(go, 0, 1)
  Atomics.notify(go, 0)
  while (!queue.producer.abandoned() && performance.now() - started < 10_000) queue.producer.waitForRoom(20)
  expect(queue.producer.abandoned()).toBe(true)
  expect(queue.put(0, 100)).toBe(false)
})
