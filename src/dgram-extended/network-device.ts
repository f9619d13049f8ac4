import { AF_INET, closeDescriptor, libc, SOCK_CLOEXEC, SOCK_DGRAM } from './libc.ts'
import {
  deviceCalls,
  IFREQ_BYTES,
  IFREQ_UNION,
  LONGEST_DEVICE_NAME,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCSIFFLAGS,
  SIOCSIFMTU,
} from './libc-devices.ts'
import { SyscallError } from './syscall-error.ts'

/** Whether Linux takes it as the name of a network device (dev_valid_name); `%d` would be its own numbering. */
export function isDeviceName(name: string): boolean {
  const bytes = Buffer.byteLength(name)
  return bytes > 0 && bytes <= LONGEST_DEVICE_NAME && name !== '.' && name !== '..' && !/[/:%\s\0]/.test(name)
}

/** A struct ifreq about a device. */
export function deviceRequest(name: string): DataView {
  if (!isDeviceName(name)) throw new RangeError(`"${name}" is no name of a network device`)
  const bytes = Buffer.alloc(IFREQ_BYTES)
  bytes.write(name)
  return new DataView(bytes.buffer, bytes.byteOffset, IFREQ_BYTES)
}

/** The kernel's number of the device, or undefined when there is none of that name. */
export function deviceIndex(name: string): number | undefined {
  try {
    return ask(name, SIOCGIFINDEX, 'SIOCGIFINDEX').getInt32(IFREQ_UNION, true)
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ENODEV') return undefined
    throw error
  }
}

/** Bytes of the largest payload, behind the Ethernet header. @throws SyscallError */
export function deviceMtu(name: string): number {
  return ask(name, SIOCGIFMTU, 'SIOCGIFMTU').getInt32(IFREQ_UNION, true)
}

/** @throws SyscallError: EPERM without CAP_NET_ADMIN, EINVAL beyond what the device can */
export function setDeviceMtu(name: string, mtu: number): void {
  const request = deviceRequest(name)
  request.setInt32(IFREQ_UNION, mtu, true)
  submit(request, name, SIOCSIFMTU, 'SIOCSIFMTU')
}

/** IFF_ flags. @throws SyscallError */
export function deviceFlags(name: string): number {
  return ask(name, SIOCGIFFLAGS, 'SIOCGIFFLAGS').getUint16(IFREQ_UNION, true)
}

/** Raises IFF_ flags beside those that are. @throws SyscallError: EPERM without CAP_NET_ADMIN */
export function addDeviceFlags(name: string, flags: number): void {
  const request = deviceRequest(name)
  request.setUint16(IFREQ_UNION, deviceFlags(name) | flags, true)
  submit(request, name, SIOCSIFFLAGS, 'SIOCSIFFLAGS')
}

function ask(name: string, number: number, shown: string): DataView {
  const request = deviceRequest(name)
  submit(request, name, number, shown)
  return request
}

/** Any socket will do: these requests are about the device, in the thread's network namespace. */
function submit(request: DataView, name: string, number: number, shown: string): void {
  const c = libc()
  const fd = c.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SyscallError('socket', c.errno(), name)
  try {
    if (deviceCalls().ioctl(fd, number, request) < 0) throw new SyscallError(shown, c.errno(), name)
  } finally {
    closeDescriptor(fd)
  }
}
