import { readFileSync } from 'node:fs'
import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE } from '../../config/terms/failure.ts'
import { type Finding, failed } from '../../config/terms/finding.ts'
import { hasCapability } from '../../dgram-extended/capabilities.ts'
import { deviceIndex } from '../../dgram-extended/network-device.ts'

export function checkInterface(name: string): Finding {
  if (deviceIndex(name) === undefined)
    return failed(EXIT_UNAVAILABLE, `there is no interface ${name}`, '"ip link" lists those there are.')
  if (hasCapability('CAP_NET_RAW') === false) {
    const mend = 'Run it as root, or with AmbientCapabilities=CAP_NET_RAW.'
    return failed(EXIT_NO_PERMISSION, 'CAP_NET_RAW is missing', mend)
  }
  if (!isDown(name)) return { level: 'ok', what: `${name} is there` }
  return { level: 'warn', what: `${name} is down`, mend: `ip link set ${name} up` }
}

/** False also where it cannot be told. */
function isDown(name: string): boolean {
  try {
    return readFileSync(`/sys/class/net/${name}/operstate`, 'latin1').trim() === 'down'
  } catch {
    return false
  }
}
