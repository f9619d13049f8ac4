import { EXIT_CANNOT_CREATE } from '../../config/terms/failure.ts'
import { type Finding, failed, failedBy } from '../../config/terms/finding.ts'
import { hasCapability } from '../../dgram-extended/capabilities.ts'
import { EPERM } from '../../dgram-extended/packet-layout.ts'
import { SyscallError } from '../../dgram-extended/syscall-error.ts'
import { TapDevice } from '../../dgram-extended/tap-device.ts'
import type { CheckContext } from '../sink.ts'
import { tapFailure } from './tap-failure.ts'

export function checkTap(name: string, { taken }: CheckContext): Finding {
  const own = `TAP device ${name}`
  if (taken.has(own)) return failed(EXIT_CANNOT_CREATE, `another sink has the ${own}`, 'Give each a device of its own.')
  taken.add(own)
  try {
    if (TapDevice.probe(name)) return { level: 'ok', what: `${name} is there and free` }
    // Making one would show the same.
    if (hasCapability('CAP_NET_ADMIN') === false) throw new SyscallError('TUNSETIFF', EPERM, name)
    return { level: 'ok', what: '/dev/net/tun and CAP_NET_ADMIN' }
  } catch (error) {
    return failedBy(tapFailure(error, name))
  }
}
