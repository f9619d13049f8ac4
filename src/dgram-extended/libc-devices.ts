import { loadKoffi, type Memory } from './libc.ts'

/** <linux/if_tun.h>, <linux/if.h>, <bits/ioctls.h>, <linux/if_packet.h>, <errno.h>; see libc.ts about machines. */
export const TUNSETIFF = 0x400454ca
export const TUNSETPERSIST = 0x400454cb
export const TUNSETOWNER = 0x400454cc
export const IFF_TAP = 0x0002
export const IFF_NO_PI = 0x1000
export const SIOCGIFFLAGS = 0x8913
export const SIOCSIFFLAGS = 0x8914
export const SIOCGIFMTU = 0x8921
export const SIOCSIFMTU = 0x8922
export const SIOCGIFINDEX = 0x8933
export const IFF_UP = 0x1
export const IFF_RUNNING = 0x40
export const IFF_NOARP = 0x80
export const AF_PACKET = 17
export const SOCK_RAW = 3
export const EIO = 5
export const ENXIO = 6
export const ENOMEM = 12
export const EBUSY = 16
export const ENODEV = 19
export const EINVAL = 22
export const EBADFD = 77
export const EMSGSIZE = 90
export const ENETDOWN = 100

/** struct ifreq: a name, then a union. */
export const IFREQ_BYTES = 40
export const IFREQ_UNION = 16
/** IFNAMSIZ, of which one byte is a zero at the end. */
export const LONGEST_DEVICE_NAME = 15

/** struct sockaddr_ll. */
export const SOCKADDR_LL_BYTES = 20
export const SOCKADDR_LL_IFINDEX = 4

/** What devices need of the C library; failures are told as in Libc. */
export interface DeviceCalls {
  /** With a pointer. */
  ioctl(fd: number, request: number, argument: Memory): number
  /** With a number in the pointer's place. */
  ioctlValue(fd: number, request: number, value: number): number
  /** `address` is a number, as one BigInt a frame would be garbage; user space's addresses have 47 bits. */
  write(fd: number, address: number, length: number): number
}

let loaded: DeviceCalls | undefined

/** Loaded on first use, once per thread. @throws Error that says why system calls cannot be made here. */
export function deviceCalls(): DeviceCalls {
  loaded ??= load()
  return loaded
}

function load(): DeviceCalls {
  const library = loadKoffi().load(null)
  return {
    ioctl: library.func('int ioctl(int, unsigned long, void *)'),
    ioctlValue: library.func('int ioctl(int, unsigned long, unsigned long)'),
    write: library.func('intptr_t write(int, uintptr_t, size_t)'),
  }
}
