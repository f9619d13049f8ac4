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

/** <linux/aio_abi.h>, in 32-bit words: struct iocb, struct io_event. */
export const IOCB_WORDS = 16
export const IOCB_DATA = 0
export const IOCB_LIO_OPCODE = 4
export const IOCB_FILDES = 5
export const IOCB_BUF = 6
export const IOCB_NBYTES = 8
export const IOCB_CMD_PWRITE = 1
export const IO_EVENT_WORDS = 8
export const IO_EVENT_RES = 4
/** <asm/unistd.h>: the C library has no functions for these. */
const IS_ARM = process.arch === 'arm64'
const SYS_io_setup = IS_ARM ? 0 : 206
const SYS_io_destroy = IS_ARM ? 1 : 207
const SYS_io_submit = IS_ARM ? 2 : 209
const SYS_io_getevents = IS_ARM ? 4 : 208

/** What devices need of the C library; failures are told as in Libc. */
export interface DeviceCalls {
  /** With a pointer. */
  ioctl(fd: number, request: number, argument: Memory): number
  /** With a number in the pointer's place. */
  ioctlValue(fd: number, request: number, value: number): number
  /** `address` is a number, as one BigInt a frame would be garbage; user space's addresses have 47 bits. */
  write(fd: number, address: number, length: number): number
  /** io_setup(2) and so on; addresses as above, and the context is one. */
  ioSetup(events: number, context: number): number
  ioDestroy(context: number): number
  ioSubmit(context: number, count: number, pointers: number): number
  ioGetEvents(context: number, least: number, most: number, events: number, timeout: number): number
}

let loaded: DeviceCalls | undefined

/** Loaded on first use, once per thread. @throws Error that says why system calls cannot be made here. */
export function deviceCalls(): DeviceCalls {
  loaded ??= load()
  return loaded
}

function load(): DeviceCalls {
  const library = loadKoffi().load(null)
  // Variadic; on both architectures it is called as any other.
  const one = library.func('intptr_t syscall(intptr_t, uintptr_t)')
  const two = library.func('intptr_t syscall(intptr_t, uintptr_t, uintptr_t)')
  const three = library.func('intptr_t syscall(intptr_t, uintptr_t, uintptr_t, uintptr_t)')
  const five = library.func('intptr_t syscall(intptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t)')
  return {
    ioSetup: (events, context) => two(SYS_io_setup, events, context),
    ioDestroy: (context) => one(SYS_io_destroy, context),
    ioSubmit: (context, count, pointers) => three(SYS_io_submit, context, count, pointers),
    ioGetEvents: (context, least, most, events, timeout) =>
      five(SYS_io_getevents, context, least, most, events, timeout),
    ioctl: library.func('int ioctl(int, unsigned long, void *)'),
    ioctlValue: library.func('int ioctl(int, unsigned long, unsigned long)'),
    write: library.func('intptr_t write(int, uintptr_t, size_t)'),
  }
}
