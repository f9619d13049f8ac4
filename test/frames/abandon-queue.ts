import { parentPort, workerData } from 'node:worker_threads'
import { closeRecordQueue, type RecordQueueWiring } from '../../src/frames/record-queue.ts'

/** A thread of record-queue.threads.test.ts that abandons the queue once it is told to. */
const { wiring, go } = workerData as { wiring: RecordQueueWiring; go: SharedArrayBuffer }
parentPort!.postMessage({ kind: 'started' })
Atomics.wait(new Int32Array(go), 0, 0)
closeRecordQueue(wiring, 'abandoned')
