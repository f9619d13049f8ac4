import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { makeFolder } from '../../src/pcap-writer/make-folder.ts'

/** A thread that makes the same folders as another, each at the same moment; posts what failed. */
const { folder, turns } = workerData as { folder: string; turns: Int32Array }
const failures: string[] = []
for (let turn = 1; turn <= 1000; turn++) {
  Atomics.add(turns, 0, 1)
  while (Atomics.load(turns, 0) < 2 * turn);
  try {
    makeFolder(join(folder, String(turn), 'a', 'b'))
  } catch (error) {
    failures.push(String(error))
  }
}
parentPort!.postMessage(failures)
