import { readdirSync, readFileSync } from 'node:fs'
import { EXIT_CANNOT_CREATE, EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../../config/terms/failure.ts'
import { SyscallError } from '../../dgram-extended/syscall-error.ts'
import { missingCapability } from '../device/capability.ts'

/** Why a TAP device cannot be had, for people. Errors that are none of the kernel's are given back as they are. */
export function tapFailure(error: unknown, name: string): unknown {
  if (!(error instanceof SyscallError)) return error
  const byRoot = ` Or root makes it beforehand: \`ip tuntap add dev ${name} mode tap user USER && ip link set ${name} up\`.`
  switch (`${error.syscall} ${error.code}`) {
    case 'open ENOENT':
    case 'open ENODEV':
    case 'open ENXIO':
      return new Failure(
        EXIT_UNAVAILABLE,
        `There is no /dev/net/tun here, so no TAP device ${name} can be made.`,
        'Load the module: `modprobe tun`; with Docker --device /dev/net/tun, in a systemd unit DeviceAllow=/dev/net/tun rw.',
      )
    case 'open EACCES':
    case 'open EPERM':
      return new Failure(
        EXIT_NO_PERMISSION,
        '/dev/net/tun may not be opened by this process.',
        'As root: `chmod 666 /dev/net/tun`, as udev usually does; in a systemd unit DeviceAllow=/dev/net/tun rw, with Docker --device /dev/net/tun.',
      )
    case 'TUNSETIFF EBUSY':
      return new Failure(
        EXIT_CANNOT_CREATE,
        `The TAP device ${name} is in use${by(ownersOf(name))}.`,
        'Stop that program, or take another name.',
      )
    case 'TUNSETIFF EINVAL':
      return new Failure(
        EXIT_CANNOT_CREATE,
        `${name} is there already, and is no TAP device that frames could be written to.`,
        `Take another name, or write to it as it is with interface:${name}; \`ip -d link show ${name}\` tells what it is.`,
      )
    default:
      if (error.code !== 'EPERM') return error
      return missingCapability(`The TAP device ${name}`, 'CAP_NET_ADMIN', ' --device /dev/net/tun', byRoot)
  }
}

function by(owners: readonly string[]): string {
  return owners.length === 0 ? ' by another program' : ` by ${owners.join(', ')}`
}

/** Programs that are attached to the device, as far as this user may see them: their descriptors tell the device's name. */
function ownersOf(name: string): string[] {
  const processes = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))
  return processes.filter((pid) => isAttached(pid, name)).map((pid) => `${commandOf(pid)} (process ${pid})`)
}

function isAttached(pid: string, name: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fdinfo`).some((fd) =>
      readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8').split('\n').includes(`iff:\t${name}`),
    )
  } catch {
    return false
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return 'a program'
  }
}
