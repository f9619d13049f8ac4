/** Words: 1 while somebody sleeps; raised by one to wake them. */
const SLEEPS = 0
const RINGS = 1
const WORDS = 2

export function createBell(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * WORDS)
}

/** What the consumer of one or more queues sleeps on, in memory that it shares with those who fill them. */
export class Bell {
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  /** Wakes the consumer, whether it sleeps or is about to. */
  ring(): void {
    Atomics.add(this.#words, RINGS, 1)
    Atomics.notify(this.#words, RINGS)
  }

  /** Whether ringing is of use: asked after something was put where the consumer will look. */
  hasSleeper(): boolean {
    return Atomics.load(this.#words, SLEEPS) === 1
  }

  /** Sleeps while there is nothing to do, at most `milliseconds`. `isIdle` is asked once those who ring can see the sleeper. */
  wait(milliseconds: number, isIdle: () => boolean): void {
    const rings = this.#lieDown()
    if (isIdle()) Atomics.wait(this.#words, RINGS, rings, milliseconds)
    Atomics.store(this.#words, SLEEPS, 0)
  }

  /** As wait(), while the thread's event loop goes on. Alone it does not keep a thread alive: something else has to. */
  async waitInEventLoop(milliseconds: number, isIdle: () => boolean): Promise<void> {
    const rings = this.#lieDown()
    if (isIdle()) await Atomics.waitAsync(this.#words, RINGS, rings, milliseconds).value
    Atomics.store(this.#words, SLEEPS, 0)
  }

  #lieDown(): number {
    Atomics.store(this.#words, SLEEPS, 1)
    return Atomics.load(this.#words, RINGS)
  }
}
