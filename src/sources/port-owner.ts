import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { outputOf } from '../config/terms/output-of.ts'

/** Who has a UDP port, and what to do about it. */
export interface PortOwner {
  readonly text: string
  readonly mend: string
}

/** The likely owner of a UDP port on this machine; undefined where it cannot be told. */
export function portOwner(port: number): PortOwner | undefined {
  // A vxlan device's socket belongs to the kernel: no process has it open.
  const device = vxlanDeviceOn(port)
  if (device !== undefined) {
    return {
      text: `the kernel's vxlan device ${device} (Docker overlays and Kubernetes networks make such devices)`,
      mend: `Remove it with "ip link del ${device}" if it is not needed`,
    }
  }
  const inodes = udpInodes(port)
  const process = inodes.size > 0 ? processWith(inodes) : undefined
  return process && { text: `${process.name} (process ${process.id})`, mend: `Stop that process` }
}

function vxlanDeviceOn(port: number): string | undefined {
  try {
    const listed = outputOf('ip', '-details', '-json', 'link', 'show', 'type', 'vxlan')
    const links: { ifname?: string; linkinfo?: { info_data?: { port?: number } } }[] = JSON.parse(listed || '[]')
    return links.find((link) => link.linkinfo?.info_data?.port === port)?.ifname
  } catch {
    return undefined
  }
}

/** /proc/net/udp: "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...", addresses and ports in hex. */
function udpInodes(port: number): Set<string> {
  const inodes = new Set<string>()
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  for (const file of ['/proc/net/udp', '/proc/net/udp6']) {
    for (const line of readOr(file).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(suffix) && fields[9] !== undefined) inodes.add(fields[9])
    }
  }
  return inodes
}

function processWith(inodes: ReadonlySet<string>): { id: string; name: string } | undefined {
  for (const id of listOr('/proc').filter((entry) => /^\d+$/.test(entry))) {
    for (const fd of listOr(`/proc/${id}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOr(`/proc/${id}/fd/${fd}`))?.[1]
      if (inode !== undefined && inodes.has(inode)) return { id, name: readOr(`/proc/${id}/comm`).trim() }
    }
  }
  return undefined
}

// Processes end, and those of others cannot be looked into, while we look.
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function listOr(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function linkOr(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
