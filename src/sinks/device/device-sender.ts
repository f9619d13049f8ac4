import type { FramePort } from '../../dgram-extended/frame-port.ts'
import { EAGAIN, EINTR, ENOBUFS } from '../../dgram-extended/libc.ts'
import { EINVAL, EMSGSIZE, ENOMEM } from '../../dgram-extended/libc-devices.ts'
import type { RecordConsumer } from '../../frames/record-consumer.ts'
import { TcpSegmenter } from '../../frames/tcp-segmenter.ts'
import type { Sender, SinkThread } from '../thread/loop.ts'
import { HEADER_BYTES, recordBytes } from './frame-queue.ts'
import { Outage } from './outage.ts'
import type { Pace } from './pace.ts'
import { Pacer } from './pacer.ts'
import { UnfinishedChecksums } from './unfinished-checksums.ts'

/** Frames that are handed over together. */
const ROWS = 256
/** A device that takes nothing for so long has stopped: the frame it stands at is lost. */
const PATIENCE_MS = 1000
/** Between two looks at a device whose queue is full. */
const BUSY_MS = 1
/** Linux wakes a sleeper some 60 us late: the rest of a wait is spent awake. */
const AWAKE_MS = 0.2

/** What frames are sent to, and how it is had again. */
export interface DeviceTarget {
  /** As messages call it: `TAP ids0`. */
  readonly shown: string
  readonly pace: Pace
  /** At the start, and after it was gone. `memory` is what frames are sent from. @throws SyscallError */
  open(memory: Uint8Array): FramePort
  /** At the start, for people: why open() failed. */
  failure(error: unknown): unknown
  /** errno -> what people should know of it and do, for the states that a device can be in. */
  readonly downtimes: ReadonlyMap<number, string>
  /** The errno that tells that the device was removed: it must be opened anew. */
  readonly gone: number
  /** VLAN tags of so many bytes may come on top of frameLimit(). */
  readonly tagBytes: number
  /** Longer TCP frames are divided; Infinity: none are. Asked when the device is opened, and when it refuses a frame as too long. */
  frameLimit(): number
  /** Makes the device ready for a frame of so many bytes; returns the longest that it is ready for. */
  makeRoom(bytes: number): number
}

/** Sends frames to a device, alone in its thread. What the device refuses is counted; trouble is said once. */
export class DeviceSender implements Sender {
  readonly usesEventLoop: boolean = false
  written = 0
  bytes = 0
  failed = 0
  unfit = 0
  segmented = 0
  segments = 0
  readonly #thread: SinkThread<unknown>
  readonly #target: DeviceTarget
  readonly #pacer: Pacer | undefined
  readonly #outage: Outage
  readonly #words: Uint32Array
  readonly #offsets: Uint32Array = new Uint32Array(ROWS)
  readonly #lengths: Uint32Array = new Uint32Array(ROWS)
  /** Looks at the first frame of each segment. */
  readonly #unfinished: UnfinishedChecksums = new UnfinishedChecksums()
  readonly #segmenter: TcpSegmenter
  #limit = Number.POSITIVE_INFINITY
  #rows = 0
  #longest = 0
  #fits = 0
  #port: FramePort | undefined
  /** When the device began to take nothing; 0 while it does. */
  #stalledSince = 0

  constructor(thread: SinkThread<unknown>, target: DeviceTarget) {
    this.#thread = thread
    this.#target = target
    this.#outage = new Outage(thread, target.shown)
    this.#words = new Uint32Array(thread.slab.buffer, thread.slab.byteOffset, thread.slab.byteLength >>> 2)
    this.#segmenter = new TcpSegmenter(thread.slab)
    if (target.pace !== 'max') this.#pacer = new Pacer(target.pace === 'original' ? undefined : target.pace)
  }

  open(): void {
    try {
      this.#port = this.#target.open(this.#thread.slab)
      this.#limit = this.#target.frameLimit()
    } catch (error) {
      throw this.#target.failure(error)
    }
  }

  add({ start, end }: RecordConsumer): void {
    if (this.#unfinished.look(this.#thread.slab, start + HEADER_BYTES, this.#words[start >>> 2]!)) {
      const text = 'Frames have unfinished checksums, which their senders left to a network card'
      this.#thread.log('warn', `${text}: an IDS ignores such packets. --fix-checksums completes them.`)
    }
    for (let at = start; at < end; ) {
      const length = this.#words[at >>> 2]!
      if (this.#pacer !== undefined) this.#waitForTurn(this.#pacer, at)
      if (length <= this.#limit || !this.#divide(at + HEADER_BYTES, length)) this.#addRow(at + HEADER_BYTES, length)
      at += recordBytes(length)
    }
    this.#send()
  }

  commit(): void {}

  tick(): void {
    // A device that is still open is tried by the next frame: frames may be farther apart than attempts.
    if (this.#port === undefined && this.#outage.isDue) this.#revive()
  }

  reopen(): void {}

  close(): void {
    this.#port?.close()
    this.#port = undefined
  }

  discard(): void {
    this.#port?.abandon()
    this.#port = undefined
  }

  #addRow(offset: number, length: number): void {
    this.#offsets[this.#rows] = offset
    this.#lengths[this.#rows] = length
    if (length > this.#longest) this.#longest = length
    if (++this.#rows === ROWS) this.#send()
  }

  /** Sends a frame in segments, one by one as they share its memory; false when it is to be sent whole. */
  #divide(offset: number, length: number): boolean {
    const segmenter = this.#segmenter
    // What is in front of it leaves first, and may change the limit.
    this.#send()
    if (!segmenter.begin(offset, length, this.#limit, this.#target.tagBytes)) return false
    const { written, failed, unfit } = this
    while (this.failed === failed && this.unfit === unfit && segmenter.next()) {
      this.#addRow(segmenter.offset, segmenter.length)
      this.#send()
    }
    const left = this.written - written
    // One frame came, so one is counted: written when all of it has left.
    this.written = written
    if (this.failed > failed || this.unfit > unfit) return true
    this.written++
    this.segmented++
    this.segments += left
    return true
  }

  /** Waits until the record at `at` is due, after what came before it has left. */
  #waitForTurn(pacer: Pacer, at: number): void {
    let now = performance.now()
    const due = pacer.due(this.#words[(at >>> 2) + 1]!, this.#words[(at >>> 2) + 2]!, now)
    if (due <= now) return
    this.#send()
    while (now < due && !this.#thread.isHurried) {
      if (due - now > AWAKE_MS) this.#thread.sleep(due - now - AWAKE_MS)
      now = performance.now()
    }
  }

  #send(): void {
    const rows = this.#rows
    this.#rows = 0
    // A replay is not to be hurried: what was to leave later does not leave any more.
    if (this.#pacer !== undefined && this.#thread.isHurried) {
      this.failed += rows
      return
    }
    if (this.#longest > this.#fits) this.#fits = this.#target.makeRoom(this.#longest)
    for (let done = 0; done < rows; ) {
      if (!this.#isAvailable()) {
        this.failed += rows - done
        return
      }
      const sent = this.#port!.send(this.#offsets, this.#lengths, done, rows - done)
      if (sent > 0) this.#count(done, sent)
      done += sent
      if (done < rows) done += this.#refused(this.#port!.errno)
    }
  }

  #count(first: number, frames: number): void {
    for (let i = first; i < first + frames; i++) this.bytes += this.#lengths[i]!
    this.written += frames
    this.#stalledSince = 0
    if (this.#outage.isOn) this.#outage.end(this.failed)
  }

  /** Returns how many frames have come to their end by it: 1, or 0 when it is to be tried again. */
  #refused(errno: number): number {
    if (errno === EINTR) return 0
    if (errno === EMSGSIZE || errno === EINVAL) {
      this.unfit++
      // The MTU was lowered: frames that follow are divided for it.
      if (errno === EMSGSIZE) this.#limit = this.#target.frameLimit()
      return 1
    }
    const { downtimes, gone } = this.#target
    const isBusy = errno === EAGAIN || errno === ENOBUFS || errno === ENOMEM
    const mayWait = isBusy || (errno !== gone && this.#thread.wiring.overflow === 'block')
    if (mayWait && this.#waitsOn()) return 0
    this.#outage.begin(downtimes.get(errno), errno, this.failed)
    if (errno === gone) {
      this.#port?.close()
      this.#port = undefined
    }
    this.failed++
    return 1
  }

  #waitsOn(): boolean {
    const now = performance.now()
    if (this.#stalledSince === 0) this.#stalledSince = now
    if (this.#outage.isOn || now - this.#stalledSince > PATIENCE_MS) return false
    // Also in a hurry, when the thread's own sleep is over at once.
    Atomics.wait(PILLOW, 0, 0, BUSY_MS)
    return true
  }

  #isAvailable(): boolean {
    return !this.#outage.isOn || (this.#outage.isDue && this.#revive())
  }

  /** Whether the device can be tried again. Once it can, the next attempt is the next frame's. */
  #revive(): boolean {
    if (this.#port !== undefined) return true
    try {
      this.#port = this.#target.open(this.#thread.slab)
      this.#fits = 0
      this.#limit = this.#target.frameLimit()
      return true
    } catch {
      this.#outage.retried()
      return false
    }
  }
}

/** Nobody wakes who waits on it. */
const PILLOW = new Int32Array(new SharedArrayBuffer(4))
