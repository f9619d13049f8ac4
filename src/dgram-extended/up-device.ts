import { AF_INET, closeDescriptor, libc, SOCK_CLOEXEC, SOCK_DGRAM } from './libc.ts'
import { SyscallError } from './syscall-error.ts'

const SIOCGIFFLAGS = 0x8913
const IFF_UP = 1
/** struct ifreq: a name of 16 bytes, then the flags. */
const IFREQ_BYTES = 40
const IFREQ_FLAGS = 16
const LONGEST_NAME = 15

/** The interface's number; 0 when there is none of that name, or it is down. @throws SyscallError */
export function indexOfUpDevice(name: string): number {
  const encoded = Buffer.from(name)
  if (encoded.length === 0 || encoded.length > LONGEST_NAME) return 0
  const c = libc()
  const index = c.if_nametoindex(name)
  if (index === 0) return 0
  const fd = c.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SyscallError('socket', c.errno(), name)
  try {
    const request = new DataView(new ArrayBuffer(IFREQ_BYTES))
    encoded.forEach((byte, i) => {
      request.setUint8(i, byte)
    })
    // It may have gone meanwhile.
    if (c.ioctl(fd, SIOCGIFFLAGS, request) < 0) return 0
    return (request.getUint16(IFREQ_FLAGS, true) & IFF_UP) !== 0 ? index : 0
  } finally {
    closeDescriptor(fd)
  }
}
