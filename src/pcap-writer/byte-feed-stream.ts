import { Socket } from 'node:net'
import { isatty, ReadStream } from 'node:tty'
import type { ByteFeed } from './byte-feed.ts'
import { readingFailed } from './errors.ts'

/**
 * Pipes, sockets and terminals: the event loop polls them. A blocking read would hold the thread beyond any signal,
 * and a non-blocking one answers EAGAIN.
 */
export class StreamFeed implements ByteFeed {
  readonly #stream: Socket | ReadStream
  #rest: Buffer | undefined
  #problem: string | undefined
  #wake: (() => void) | undefined

  constructor(fd: number) {
    this.#stream = isatty(fd) ? new ReadStream(fd) : new Socket({ fd, readable: true, writable: false })
    const wake = (): void => this.#wake?.()
    this.#stream.on('readable', wake).on('end', wake).on('close', wake)
    this.#stream.on('error', (error) => {
      this.#problem = readingFailed(error)
      wake()
    })
  }

  get problem(): string | undefined {
    return this.#problem
  }

  async read(into: Uint8Array): Promise<number> {
    for (;;) {
      const bytes: Buffer | null = this.#rest ?? this.#stream.read()
      if (bytes !== null) return this.#hand(bytes, into)
      if (this.#problem !== undefined || this.#stream.readableEnded || this.#stream.destroyed) return 0
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.#rest = undefined
    this.#stream.destroy()
  }

  #hand(bytes: Buffer, into: Uint8Array): number {
    const length = Math.min(bytes.length, into.length)
    into.set(bytes.subarray(0, length))
    this.#rest = length < bytes.length ? bytes.subarray(length) : undefined
    return length
  }
}
