import { createRequire } from 'node:module'
import { SYS_bpf, SYS_fsconfig, SYS_fsmount, SYS_fsopen } from './bpf-layout.ts'
import { SyscallError } from './syscall-error.ts'

// Numbers and layouts below are those of Linux on x86_64 and arm64. Both are little-endian and LP64 and use
// asm-generic's socket constants, so every structure this folder lays out by hand is the same on both, with glibc and musl.

/** <bits/socket.h>, <asm-generic/socket.h>, <netinet/in.h>, <linux/udp.h>, <linux/sock_diag.h>, <bits/poll.h> */
export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
export const SOCK_DGRAM = 2
export const SOCK_CLOEXEC = 0o2000000
export const SOL_SOCKET = 1
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_REUSEPORT = 15
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_TIMESTAMPNS = 35
export const SO_MEMINFO = 55
export const SK_MEMINFO_RMEM_ALLOC = 0
export const SK_MEMINFO_RCVBUF = 1
export const SK_MEMINFO_DROPS = 8
export const SK_MEMINFO_VARS = 9
export const IPPROTO_UDP = 17
export const UDP_SEGMENT = 103
export const IPPROTO_IPV6 = 41
export const IPV6_V6ONLY = 26
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const POLLIN = 0x1
export const EINTR = 4
export const EAGAIN = 11
export const ENOBUFS = 105

/** struct mmsghdr as 32-bit words: struct msghdr (56 bytes), then msg_len. Lengths are size_t whose upper word stays 0. */
export const MMSGHDR_WORDS = 16
export const MMSGHDR_NAME = 0
export const MMSGHDR_NAMELEN = 2
export const MMSGHDR_IOV = 4
export const MMSGHDR_IOVLEN = 6
export const MMSGHDR_CONTROL = 8
export const MMSGHDR_CONTROLLEN = 10
export const MMSGHDR_FLAGS = 12
export const MMSGHDR_LEN = 14

/** struct iovec as 32-bit words. */
export const IOVEC_WORDS = 4
export const IOVEC_BASE = 0
export const IOVEC_LEN = 2

/** struct cmsghdr and the struct timespec behind it, as 32-bit words: CMSG_SPACE(16) is 32 bytes. */
export const CMSG_WORDS = 8
export const CMSG_LEVEL = 2
export const CMSG_TYPE = 3
export const CMSG_TIMESPEC_SECONDS = 4
export const CMSG_TIMESPEC_NANOSECONDS = 6

/** struct pollfd: an int, then two shorts. */
export const POLLFD_BYTES = 8
export const POLLFD_EVENTS = 4
export const POLLFD_REVENTS = 6

/** Memory handed to the kernel for the length of one call: typed arrays are passed by the address of their first byte. */
export type Memory = Uint8Array | Uint16Array | Uint32Array | Int32Array | DataView

/** The C library's functions, as declared in `prototypes`. Each returns -1 on failure and leaves the reason in errno(). */
export interface Libc {
  socket(family: number, type: number, protocol: number): number
  setsockopt(fd: number, level: number, name: number, value: Memory, length: number): number
  getsockopt(fd: number, level: number, name: number, value: Memory, length: Memory): number
  bind(fd: number, address: Memory, length: number): number
  connect(fd: number, address: Memory, length: number): number
  getsockname(fd: number, address: Memory, length: Memory): number
  poll(fds: Memory, count: number, milliseconds: number): number
  /** The addresses of memory that an object keeps alive: the call is in the hot path. `timeout` stays null: it is broken by design (recvmmsg(2), BUGS). */
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: null): number
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number
  send(fd: number, bytes: Memory, length: number, flags: number): number
  close(fd: number): number
  /** `attributes` begins with a union bpf_attr of `bytes` bytes. */
  bpf(command: number, attributes: Memory, bytes: number): number
  fsopen(type: Memory, flags: number): number
  fsconfig(fd: number, command: number, key: null, value: null, aux: number): number
  fsmount(fd: number, flags: number, attributes: number): number
  /** New memory, anywhere; its address. @throws SyscallError */
  mmap(bytes: number, protection: number, flags: number): bigint
  /** Replaces what is mapped at `address` by memory of `fd`, or by new memory for -1. @throws SyscallError */
  mapOver(address: bigint, bytes: number, protection: number, flags: number, fd: number): void
  /** Memory at an address, which stays valid without it; nothing is copied. */
  view(address: bigint, bytes: number): ArrayBuffer
  errno(): number
  /** The address of the first byte. It does not keep `memory` alive: whoever stores it stores `memory` beside it. */
  address(memory: Memory): bigint
}

const MAP_FAILED = -1n

/** The kernel keeps twice the size asked for in an int. */
const LARGEST_BUFFER = 0x3fff_ffff

let loaded: Libc | undefined

/** The C library, loaded on first use, once per thread. @throws Error that says why system calls cannot be made here. */
export function libc(): Libc {
  loaded ??= load()
  return loaded
}

/** Why system calls cannot be made on this machine, or undefined when they can. */
export function systemCallsUnavailable(): string | undefined {
  try {
    libc()
    return undefined
  } catch (error) {
    // Of a module that is missing Node tells in further lines who asked for it.
    return error instanceof Error ? error.message.split('\n')[0] : String(error)
  }
}

/** Closes `fd`; -1, the mark of a closed one, does nothing. */
export function closeDescriptor(fd: number): void {
  if (fd >= 0) libc().close(fd)
}

/** Sets an option whose value is an int. @throws SyscallError */
export function setOption(fd: number, level: number, name: number, value: number, subject: string): void {
  const c = libc()
  if (c.setsockopt(fd, level, name, Int32Array.of(value), 4) < 0)
    throw new SyscallError('setsockopt', c.errno(), subject)
}

/** Reads an option whose value is an int. @throws SyscallError */
export function getOption(fd: number, level: number, name: number, subject: string): number {
  const c = libc()
  const value = new Int32Array(1)
  if (c.getsockopt(fd, level, name, value, Uint32Array.of(4)) < 0)
    throw new SyscallError('getsockopt', c.errno(), subject)
  return value[0]!
}

/**
 * Asks for a socket buffer of `bytes`: beyond the system's limit where that is permitted, else up to it.
 * @returns whether it was permitted (CAP_NET_ADMIN)
 * @throws SyscallError; RangeError when `bytes` is not a size
 */
export function setBuffer(fd: number, force: number, name: number, bytes: number, subject: string): boolean {
  if (!(Number.isInteger(bytes) && bytes > 0 && bytes <= LARGEST_BUFFER))
    throw new RangeError(`a socket buffer of ${bytes} bytes\nIt must be a whole number from 1 to ${LARGEST_BUFFER}.`)
  if (libc().setsockopt(fd, SOL_SOCKET, force, Int32Array.of(bytes), 4) === 0) return true
  setOption(fd, SOL_SOCKET, name, bytes, subject)
  return false
}

function load(): Libc {
  return prototypes(loadKoffi())
}

/** For the files beside this one that declare further functions. @throws Error as libc() */
export function loadKoffi(): typeof import('koffi') {
  if (process.platform !== 'linux') throw new Error(`these system calls are Linux's, and this is ${process.platform}`)
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    throw new Error(`structures are laid out for x64 and arm64, and this is ${process.arch}`)
  // require, not import: where koffi is absent this folder must still load, for the fallback on node:dgram.
  return createRequire(import.meta.url)('koffi') as typeof import('koffi')
}

function prototypes(koffi: typeof import('koffi')): Libc {
  // null is the process itself, which has the C library in it, whatever its file is called (glibc, musl).
  const library = koffi.load(null)
  // These have no function in every C library. syscall(2) is variadic; on both architectures it is called as any other.
  const bpf = library.func('int syscall(long, int, void *, unsigned int)')
  const fsopen = library.func('int syscall(long, const void *, unsigned int)')
  const fsconfig = library.func('int syscall(long, int, unsigned int, const void *, const void *, int)')
  const fsmount = library.func('int syscall(long, int, unsigned int, unsigned int)')
  const mmap = library.func('intptr_t mmap(void *, size_t, int, int, int, int64_t)')
  return {
    socket: library.func('int socket(int, int, int)'),
    setsockopt: library.func('int setsockopt(int, int, int, const void *, uint32_t)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    bind: library.func('int bind(int, const void *, uint32_t)'),
    connect: library.func('int connect(int, const void *, uint32_t)'),
    getsockname: library.func('int getsockname(int, void *, void *)'),
    poll: library.func('int poll(void *, unsigned long, int)'),
    recvmmsg: library.func('int recvmmsg(int, void *, unsigned int, int, void *)'),
    sendmmsg: library.func('int sendmmsg(int, void *, unsigned int, int)'),
    send: library.func('intptr_t send(int, const void *, size_t, int)'),
    close: library.func('int close(int)'),
    bpf: (command, attributes, bytes) => bpf(SYS_bpf, command, attributes, bytes),
    fsopen: (type, flags) => fsopen(SYS_fsopen, type, flags),
    fsconfig: (fd, command, key, value, aux) => fsconfig(SYS_fsconfig, fd, command, key, value, aux),
    fsmount: (fd, flags, attributes) => fsmount(SYS_fsmount, fd, flags, attributes),
    mmap: (bytes, protection, flags) => {
      const address = BigInt(mmap(null, bytes, protection, flags, -1, 0))
      if (address === MAP_FAILED) throw new SyscallError('mmap', koffi.errno(), `${bytes} bytes`)
      return address
    },
    mapOver: (address, bytes, protection, flags, fd) => {
      const mapped = BigInt(mmap(address, bytes, protection, flags, fd, 0))
      if (mapped === MAP_FAILED) throw new SyscallError('mmap', koffi.errno(), `${bytes} bytes of descriptor ${fd}`)
    },
    view: (address, bytes) => koffi.view(address, bytes),
    errno: () => koffi.errno(),
    address: (memory) => koffi.address(memory),
  }
}
