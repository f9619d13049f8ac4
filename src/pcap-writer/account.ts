/** What the owner of capture files hears about them. Called from within its own calls. */
export interface CaptureEvents {
  opened(path: string): void
  /** The file is finished: no program of ours writes to it any more. */
  closed(path: string): void
  /** Writing failed and frames are being lost; not repeated until {@link CaptureEvents.recovered}. */
  trouble(error: unknown, path: string): void
  /** Writing works again; `lostFrames` were lost meanwhile. */
  recovered(lostFrames: number): void
  /** The reader of standard output left: nothing more can be written there. */
  ended(): void
  /** Retention removed a finished file, or an empty one made way for one with a better name. */
  removed(path: string): void
  /** Retention could not remove a file; not repeated until a removal works again. */
  cannotRemove(error: unknown, path: string): void
}

/** Every frame ends here: in `written` or in `dropped`. */
export class Account {
  /** Frames in files. */
  written = 0
  /** Frames that could not be written. */
  dropped = 0
  /** Bytes in files with headers and blocks, after compression. */
  bytes = 0
  /** Whether the reader of standard output left. */
  hasEnded = false
  readonly #events: CaptureEvents
  /** Files whose last write failed. */
  readonly #failing = new Set<object>()
  #troubled = false
  #lost = 0
  #succeeded = false

  constructor(events: CaptureEvents) {
    this.#events = events
  }

  wrote(file: object, frames: number, bytes: number): void {
    this.written += frames
    this.bytes += bytes
    if (bytes === 0) return
    this.#succeeded = true
    this.#failing.delete(file)
  }

  /** `frames` may be 0: the trouble is reported all the same. */
  lost(file: object, frames: number, error: unknown, path: string): void {
    this.dropped += frames
    this.#lost += frames
    this.#failing.add(file)
    if (this.#troubled) return
    this.#troubled = true
    this.#succeeded = false
    this.#events.trouble(error, path)
  }

  /** Nothing more will be written to the file. */
  finished(file: object): void {
    this.#failing.delete(file)
  }

  /** The reader of standard output left, and these frames stay with us. */
  ended(frames: number): void {
    this.dropped += frames
    if (this.hasEnded) return
    this.hasEnded = true
    this.#events.ended()
  }

  /** Ends a commit: trouble is over when no file fails any more and one was written. */
  settle(): void {
    const recovered = this.#troubled && this.#succeeded && this.#failing.size === 0
    this.#succeeded = false
    if (!recovered) return
    const lost = this.#lost
    this.#troubled = false
    this.#lost = 0
    this.#events.recovered(lost)
  }
}
