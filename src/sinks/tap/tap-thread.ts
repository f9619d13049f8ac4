import type { FramePort } from '../../dgram-extended/frame-port.ts'
import { EBADFD, EIO } from '../../dgram-extended/libc-devices.ts'
import { deviceMtu, setDeviceMtu } from '../../dgram-extended/network-device.ts'
import { SyscallError } from '../../dgram-extended/syscall-error.ts'
import { TapDevice } from '../../dgram-extended/tap-device.ts'
import { ETHERNET_HEADER_BYTES } from '../../wire/link.ts'
import { DeviceSender, type DeviceTarget } from '../device/device-sender.ts'
import { longestFrame } from '../device/longest-frame.ts'
import type { Pace } from '../device/pace.ts'
import { runSender, type SinkThread } from '../thread/loop.ts'
import { tapFailure } from './tap-failure.ts'
import type { TapSettings } from './tap-sink.ts'

/** The most that Linux lets a TAP device have (MAX_MTU of drivers/net/tun.c). */
const LARGEST_MTU = 65_521

class TapTarget implements DeviceTarget {
  readonly shown: string
  readonly pace: Pace
  readonly gone: number = EBADFD
  readonly tagBytes: number = Number.POSITIVE_INFINITY
  readonly downtimes: ReadonlyMap<number, string>
  readonly #thread: SinkThread<TapSettings>
  readonly #settings: TapSettings

  constructor(thread: SinkThread<TapSettings>) {
    this.#thread = thread
    this.#settings = thread.wiring.options
    const { name, pace } = this.#settings
    this.shown = `TAP ${name}`
    this.pace = pace
    this.downtimes = new Map([
      [EIO, `it is down, \`ip link set ${name} up\` raises it`],
      [EBADFD, 'it was removed'],
    ])
  }

  open(memory: Uint8Array): FramePort {
    const device = TapDevice.open(this.#settings, memory)
    this.#thread.log('debug', device.isNew ? 'TAP device made.' : 'TAP device taken.', { device: device.name })
    return device
  }

  failure(error: unknown): unknown {
    return tapFailure(error, this.#settings.name)
  }

  /** The MTU is then still as the user set it. */
  frameLimit(): number {
    const { name, segment } = this.#settings
    return typeof segment === 'number' ? segment : segment === 'no' ? Number.POSITIVE_INFINITY : longestFrame(name)
  }

  /** Frames arrive whatever the MTU; but tools size their buffers by it, and would cut what is longer. */
  makeRoom(bytes: number): number {
    const { name } = this.#settings
    try {
      const mtu = deviceMtu(name)
      const wanted = Math.min(bytes - ETHERNET_HEADER_BYTES, LARGEST_MTU)
      if (mtu >= wanted) return mtu + ETHERNET_HEADER_BYTES
      setDeviceMtu(name, wanted)
      this.#thread.log('info', `The MTU of TAP ${name} is now ${wanted}, as longer frames arrive.`)
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error
      const why = `The MTU of TAP ${name} cannot be raised for a frame of ${bytes} bytes: ${error.code}`
      this.#thread.log('warn', `${why}. Set it yourself, or tools that go by it will cut frames.`)
      return Number.POSITIVE_INFINITY
    }
    return bytes
  }
}

runSender((thread: SinkThread<TapSettings>) => new DeviceSender(thread, new TapTarget(thread)))
