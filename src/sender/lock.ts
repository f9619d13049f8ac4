import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'

/** In the abstract name space: no file, and the kernel frees the name when its owner ends, however it ends. */
const NAME = '\0mirror-sender'
const RETRY_MS = 20
const LONGEST_WAIT_MS = 30_000

/**
 * Lets one process at a time look and act: two that set up mirrors at once would not leave out each other's tunnel.
 * Resolves with how to let go.
 */
export async function lock(): Promise<() => void> {
  for (const end = performance.now() + LONGEST_WAIT_MS; performance.now() < end; await setTimeout(RETRY_MS)) {
    const server = createServer((socket) => socket.destroy())
    server.listen(NAME)
    try {
      await once(server, 'listening')
      return () => server.close()
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    }
  }
  throw new Failure(EXIT_UNAVAILABLE, 'Another mirror-sender has been at work for 30 seconds.', 'Try again later.')
}
