import { parentPort, workerData } from 'node:worker_threads'
import { Bell } from '../../src/frames/bell.ts'
import { RecordConsumer } from '../../src/frames/record-consumer.ts'
import type { RecordQueueWiring } from '../../src/frames/record-queue.ts'

/** The consuming thread of record-queue.threads.test.ts: checks every record, says how it ended. */
const { wiring, slab } = workerData as { wiring: RecordQueueWiring; slab: SharedArrayBuffer }
const consumer = new RecordConsumer(wiring, new Uint8Array(slab))
const bell = new Bell(wiring.bell)
const view = new DataView(slab)
let next = 0
let wrong = 0
let waits = 0

function check(): void {
  for (let at = consumer.start; at < consumer.end; ) {
    const length = view.getUint32(at)
    const number = view.getUint32(at + 4)
    const last = consumer.bytes[at + length - 1]
    if (number !== next || (length > 8 && last !== (number & 0xff))) wrong++
    next++
    at += length
  }
}

parentPort!.postMessage({ kind: 'started' })
for (;;) {
  const closed = consumer.closed()
  let taken = 0
  // Several segments before the memory goes back, as the file writer does.
  for (; taken < 3 && consumer.take(); taken++) check()
  if (taken > 0) consumer.release()
  else if (closed) break
  else {
    waits++
    bell.wait(5000, () => consumer.isEmpty() && !consumer.closed())
  }
}
parentPort!.postMessage({ kind: 'ended', records: next, wrong, waits })
