import { setImmediate } from 'node:timers/promises'
import { createGunzip, type Gunzip } from 'node:zlib'

/** After the magic at the start was right, zlib says this of what is behind a member's end. */
const NO_MEMBER = 'incorrect header check'

/** Takes gzip off what it is given, member after member. */
export class Inflation {
  readonly #gunzip: Gunzip = createGunzip()
  #isEnded = false
  #problem: string | undefined
  #wake: (() => void) | undefined

  constructor(output: (bytes: Buffer) => void) {
    this.#gunzip.on('data', output)
    this.#gunzip.on('end', () => this.#end(undefined))
    this.#gunzip.on('error', ({ message }) =>
      this.#end(`gzip: ${message === NO_MEMBER ? 'what is behind its end is no gzip' : message}`),
    )
    this.#gunzip.on('close', () => this.#end(undefined))
  }

  /** Nothing more comes out. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  get problem(): string | undefined {
    return this.#problem
  }

  /**
   * Resolves when all that these bytes give has come out; no byte is the end of the input. Where they have a problem in
   * them, what they gave in front of it is lost.
   */
  async put(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#isEnded) resolve()
      else if (bytes.length === 0) this.#gunzip.end()
      else this.#gunzip.write(bytes, () => resolve())
    })
    while (this.#gunzip.readableLength > 0 && !this.#isEnded) await setImmediate()
  }

  close(): void {
    this.#gunzip.destroy()
  }

  #end(problem: string | undefined): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#problem = problem
    this.#wake?.()
  }
}
