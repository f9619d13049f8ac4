import { parentPort } from 'node:worker_threads'
import { Poller } from '../../src/dgram-extended/poller.ts'

const poller = new Poller([])
parentPort?.postMessage('polling')
for (;;) poller.wait(50)
