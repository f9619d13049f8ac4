import { EXIT_UNAVAILABLE, Failure } from '../../config/terms/failure.ts'
import type { FramePort } from '../../dgram-extended/frame-port.ts'
import { ENETDOWN, ENXIO } from '../../dgram-extended/libc-devices.ts'
import { PacketSender } from '../../dgram-extended/packet-sender.ts'
import { SyscallError } from '../../dgram-extended/syscall-error.ts'
import { VLAN_TAG_BYTES } from '../../wire/ether-type.ts'
import { missingCapability } from '../device/capability.ts'
import { DeviceSender, type DeviceTarget } from '../device/device-sender.ts'
import { longestFrame } from '../device/longest-frame.ts'
import type { Pace } from '../device/pace.ts'
import type { Segment } from '../device/segment.ts'
import { runSender, type SinkThread } from '../thread/loop.ts'
import type { InterfaceSettings } from './interface-sink.ts'

class InterfaceTarget implements DeviceTarget {
  readonly shown: string
  readonly pace: Pace
  readonly gone: number = ENXIO
  readonly downtimes: ReadonlyMap<number, string>
  /** AF_PACKET lets one tag through on top of the MTU (packet_snd in net/packet/af_packet.c). */
  readonly tagBytes: number = VLAN_TAG_BYTES
  readonly #name: string
  readonly #segment: Segment

  constructor({ name, pace, segment }: InterfaceSettings) {
    this.#name = name
    this.#segment = segment
    this.shown = `Interface ${name}`
    this.pace = pace
    this.downtimes = new Map([
      [ENETDOWN, `it is down or has no link, see \`ip link show ${name}\``],
      [ENXIO, 'it was removed'],
    ])
  }

  open(memory: Uint8Array): FramePort {
    return PacketSender.open(this.#name, memory)
  }

  failure(error: unknown): unknown {
    if (!(error instanceof SyscallError)) return error
    if (error.code === 'EPERM') return missingCapability(`Sending out of ${this.#name}`, 'CAP_NET_RAW', '')
    if (error.code !== 'ENODEV') return error
    return new Failure(
      EXIT_UNAVAILABLE,
      `There is no interface ${this.#name} here.`,
      `\`ip link\` lists those there are; tap:${this.#name} would make one.`,
    )
  }

  frameLimit(): number {
    if (this.#segment === 'no') return Number.POSITIVE_INFINITY
    const longest = longestFrame(this.#name)
    return this.#segment === 'mtu' ? longest : Math.min(this.#segment, longest)
  }

  /** The interface is not ours to change: what is too long for it is counted. */
  makeRoom(): number {
    return Number.POSITIVE_INFINITY
  }
}

runSender(
  (thread: SinkThread<InterfaceSettings>) => new DeviceSender(thread, new InterfaceTarget(thread.wiring.options)),
)
