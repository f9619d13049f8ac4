import { closeSync, openSync, writeFileSync } from 'node:fs'
import { AioWriter } from './aio-writer.ts'
import type { FramePort } from './frame-port.ts'
import { libc } from './libc.ts'
import {
  type DeviceCalls,
  deviceCalls,
  IFF_NO_PI,
  IFF_NOARP,
  IFF_TAP,
  IFF_UP,
  IFREQ_UNION,
  TUNSETIFF,
  TUNSETOWNER,
  TUNSETPERSIST,
} from './libc-devices.ts'
import { addDeviceFlags, deviceFlags, deviceIndex, deviceRequest } from './network-device.ts'
import { SyscallError } from './syscall-error.ts'

const CLONE_DEVICE = '/dev/net/tun'
/** For fewer frames two system calls for all of them are no gain. */
const FEW = 4

export interface TapOptions {
  /** Up to 15 bytes; see isDeviceName(). */
  readonly name: string
  /** Whether the device outlives its last user; left as it is when undefined. */
  readonly persist?: boolean | undefined
  /** The user who may attach to it without CAP_NET_ADMIN; left as it is when undefined. */
  readonly owner?: number | undefined
}

/**
 * An Ethernet device whose other end is this program: what is sent here arrives there, as if from a cable.
 * Made when there is none of that name, else attached to; up, and silent: no ARP, no IPv6 of its own.
 */
export class TapDevice implements FramePort {
  readonly name: string
  /** There was none: this made it. */
  readonly isNew: boolean
  /** Of the frame that the last send() ended at. */
  errno = 0
  /** The memory whose address is below. */
  readonly memory: Uint8Array
  readonly #address: number
  readonly #calls: DeviceCalls = deviceCalls()
  readonly #aio: AioWriter | undefined = AioWriter.open()
  #fd: number

  private constructor(fd: number, name: string, isNew: boolean, memory: Uint8Array) {
    this.#fd = fd
    this.name = name
    this.isNew = isNew
    this.memory = memory
    this.#address = Number(libc().address(memory))
  }

  /**
   * `memory`: what frames are sent from.
   * @throws SyscallError: open ENOENT and EACCES of /dev/net/tun; TUNSETIFF EPERM (CAP_NET_ADMIN), EBUSY (another program
   * is attached), EINVAL (a device of that name is no TAP, or one of several queues)
   */
  static open(options: TapOptions, memory: Uint8Array): TapDevice {
    const { name } = options
    const isNew = deviceIndex(name) === undefined
    const fd = openCloneDevice()
    try {
      attach(fd, options)
      // A host that speaks on it would mix its own words into the mirrored ones. Where it is not ours to say, it stays.
      if (isNew) silence(name)
      if ((deviceFlags(name) & IFF_UP) === 0) addDeviceFlags(name, IFF_UP)
      return new TapDevice(fd, name, isNew, memory)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /**
   * Attaches to the device of this name and lets it go as it was; false = there is none, and none is made.
   * @throws SyscallError as open() does
   */
  static probe(name: string): boolean {
    const isThere = deviceIndex(name) !== undefined
    const fd = openCloneDevice()
    try {
      if (isThere) attach(fd, { name })
      return isThere
    } finally {
      closeSync(fd)
    }
  }

  /** EIO: the device is down; EBADFD: it was removed. */
  send(offsets: Uint32Array, lengths: Uint32Array, first: number, count: number): number {
    if (this.#aio === undefined || count < FEW) return this.#sendOneByOne(offsets, lengths, first, count)
    const sent = this.#aio.write(this.#fd, this.#address, offsets, lengths, first, count)
    this.errno = this.#aio.errno
    return sent
  }

  #sendOneByOne(offsets: Uint32Array, lengths: Uint32Array, first: number, count: number): number {
    for (let i = first; i < first + count; i++) {
      if (this.#calls.write(this.#fd, this.#address + offsets[i]!, lengths[i]!) >= 0) continue
      this.errno = libc().errno()
      return i - first
    }
    return count
  }

  /** The device goes with it, unless it persists. A second call does nothing. */
  close(): void {
    this.#aio?.close()
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  abandon(): void {
    if (this.isNew) this.#calls.ioctlValue(this.#fd, TUNSETPERSIST, 0)
    this.close()
  }
}

function openCloneDevice(): number {
  try {
    return openSync(CLONE_DEVICE, 'r+')
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException
    if (errno === undefined) throw error
    throw new SyscallError('open', -errno, CLONE_DEVICE)
  }
}

function attach(fd: number, { name, persist, owner }: TapOptions): void {
  const c = libc()
  const calls = deviceCalls()
  const request = deviceRequest(name)
  request.setUint16(IFREQ_UNION, IFF_TAP | IFF_NO_PI, true)
  if (calls.ioctl(fd, TUNSETIFF, request) < 0) throw new SyscallError('TUNSETIFF', c.errno(), name)
  if (owner !== undefined && calls.ioctlValue(fd, TUNSETOWNER, owner) < 0)
    throw new SyscallError('TUNSETOWNER', c.errno(), name)
  if (persist !== undefined && calls.ioctlValue(fd, TUNSETPERSIST, persist ? 1 : 0) < 0)
    throw new SyscallError('TUNSETPERSIST', c.errno(), name)
}

function silence(name: string): void {
  addDeviceFlags(name, IFF_NOARP)
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1')
  } catch {
    // A kernel without IPv6, or a container whose /proc/sys is read-only: then it says a few words when it goes up.
  }
}
