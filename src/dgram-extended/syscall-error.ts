import { getSystemErrorName } from 'node:util'

/** How to mend it, by call and error, or by error alone. */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  [
    'bind EADDRINUSE',
    'Another socket owns the port: `ss -ulpn` names its program, `ip -d link show type vxlan` a kernel tunnel. Stop it, or take another port.',
  ],
  ['bind EADDRNOTAVAIL', 'No interface of this machine has the address: `ip address` lists those there are.'],
  ['bind EACCES', 'Ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE: take another port.'],
  ['socket EMFILE', 'This process has too many files open: raise `ulimit -n`, or LimitNOFILE= in its systemd unit.'],
  ['socket EAFNOSUPPORT', 'The kernel has this address family switched off: use addresses of the other one.'],
  ['socket EPERM', 'Raw sockets need CAP_NET_RAW: run as root, or give the program that capability.'],
  ['connect ENETUNREACH', 'No route leads to the address: `ip route get ADDRESS` tells what the kernel would do.'],
  [
    'bpf EPERM',
    'Loading an eBPF program needs CAP_BPF and CAP_NET_ADMIN (before Linux 5.8: CAP_SYS_ADMIN): run it as root.',
  ],
  ['bpf ENOSYS', 'This kernel has no eBPF (CONFIG_BPF_SYSCALL).'],
  ['fsopen EPERM', 'A file system of its own, unmounted, for the program needs CAP_SYS_ADMIN: run it as root.'],
  ['fsopen ENOSYS', 'eBPF programs need Linux 5.2 or later.'],
  ['if_nametoindex ENODEV', '`ip -6 address` lists the interfaces there are, and their link-local addresses.'],
  ['ECONNREFUSED', 'Nobody listens on the port that was sent to: start the receiver first.'],
  ['EMSGSIZE', 'The message is longer than a datagram may be: send fewer bytes each.'],
])

/** A system call that failed for a reason other than EAGAIN or EINTR, which are return values here. */
export class SyscallError extends Error {
  /** The call's name, such as `bind`. */
  readonly syscall: string
  /** The name of the error, such as `EADDRINUSE`. */
  readonly code: string
  /** The positive number from errno(3). */
  readonly errno: number

  /** `subject` is what the call was about, for people: `udp 0.0.0.0:4789`. */
  constructor(syscall: string, errno: number, subject: string) {
    const code = getSystemErrorName(-errno)
    const remedy = REMEDIES.get(`${syscall} ${code}`) ?? REMEDIES.get(code)
    super(`${syscall} failed: ${code} (${subject})${remedy === undefined ? '' : `\n${remedy}`}`)
    this.name = 'SyscallError'
    this.syscall = syscall
    this.code = code
    this.errno = errno
  }
}
