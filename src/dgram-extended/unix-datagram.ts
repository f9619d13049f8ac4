import { AF_UNIX, closeDescriptor, libc, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from './libc.ts'
import { SyscallError } from './syscall-error.ts'

/** struct sockaddr_un: a family of 16 bits, then sun_path. */
const PATH_AT = 2
export const SUN_PATH_BYTES = 108

/**
 * Sends one datagram to a socket with a name in the file system, or, where `path` begins with `@`, in Linux's abstract
 * namespace (unix(7)). Never waits: a receiver that is full is EAGAIN.
 * @throws SyscallError, such as ENOENT or ECONNREFUSED; RangeError when the path is too long
 */
export function sendUnixDatagram(path: string, message: Uint8Array): void {
  const c = libc()
  const isAbstract = path.startsWith('@')
  const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`)
  if (name.length > SUN_PATH_BYTES)
    throw new RangeError(`a socket's path of ${name.length} bytes\nThe kernel takes ${SUN_PATH_BYTES}.`)
  const address = new Uint8Array(PATH_AT + name.length)
  address[0] = AF_UNIX
  address.set(name, PATH_AT)
  const fd = c.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw new SyscallError('socket', c.errno(), path)
  try {
    if (c.connect(fd, address, address.length) < 0) throw new SyscallError('connect', c.errno(), path)
    if (c.send(fd, message, message.length, MSG_DONTWAIT) < 0) throw new SyscallError('send', c.errno(), path)
  } finally {
    closeDescriptor(fd)
  }
}
