import { existsSync } from 'node:fs'
import { EXIT_NO_PERMISSION } from '../../config/terms/failure.ts'
import { type Finding, failed } from '../../config/terms/finding.ts'
import { hasCapability } from '../../dgram-extended/capabilities.ts'

export function checkTap(): Finding {
  if (!existsSync('/dev/net/tun')) {
    const mend = 'As root: modprobe tun; in a container give it the device: --device /dev/net/tun.'
    return failed(EXIT_NO_PERMISSION, 'there is no /dev/net/tun', mend)
  }
  if (hasCapability('CAP_NET_ADMIN') !== false) return { level: 'ok', what: '/dev/net/tun and CAP_NET_ADMIN' }
  const mend =
    'Run it as root or with AmbientCapabilities=CAP_NET_ADMIN; a device made for this user (owner=) needs none.'
  return { level: 'warn', what: 'CAP_NET_ADMIN is missing', mend }
}
