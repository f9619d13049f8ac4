import { deviceMtu } from '../../dgram-extended/network-device.ts'
import { SyscallError } from '../../dgram-extended/syscall-error.ts'
import { ETHERNET_HEADER_BYTES } from '../../wire/link.ts'

/** Bytes of the longest frame that a device's MTU lets through, VLAN tags not counted; Infinity once the device is gone. */
export function longestFrame(device: string): number {
  try {
    return deviceMtu(device) + ETHERNET_HEADER_BYTES
  } catch (error) {
    if (error instanceof SyscallError) return Number.POSITIVE_INFINITY
    throw error
  }
}
