import { existsSync } from 'node:fs'
import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import { type Capability, hasCapability } from '../dgram-extended/capabilities.ts'
import { CommandError, HERE, MissingTool, netnsPlace, type Place, processPlace, runCommand } from './commands.ts'

/** At most one of them is given. */
export interface PlaceWish {
  readonly netns?: string | undefined
  readonly pid?: number | undefined
  readonly container?: string | undefined
}

const NAMED = '/run/netns'
const ENGINES = ['docker', 'podman']

/** Bits of the capability sets in /proc/PID/status, linux/capability.h. */

/** Finds the network namespace. Throws Failure where it is not there. */
export async function findPlace({ netns, pid, container }: PlaceWish): Promise<Place> {
  if (netns !== undefined) {
    if (!existsSync(`${NAMED}/${netns}`) || netns.includes('/')) {
      throw new Failure(
        EXIT_UNAVAILABLE,
        `There is no network namespace ${netns}.`,
        'See which there are: ip netns list.',
      )
    }
    return netnsPlace(netns)
  }
  if (pid !== undefined) {
    demandProcess(pid)
    return processPlace(pid)
  }
  if (container !== undefined) {
    const first = await containerProcess(container)
    demandProcess(first)
    return processPlace(first, `container ${container}`)
  }
  return HERE
}

/** Root without CAP_SYS_PTRACE sees a process that has more capabilities, but not its namespaces. */
function demandProcess(pid: number): void {
  if (existsSync(`/proc/${pid}/ns/net`)) return
  if (existsSync(`/proc/${pid}`)) {
    const mend = 'Run it as root (sudo); in a systemd unit CapabilityBoundingSet= has to have it.'
    throw new Failure(EXIT_NO_PERMISSION, `The network namespace of process ${pid} takes CAP_SYS_PTRACE.`, mend)
  }
  throw new Failure(EXIT_UNAVAILABLE, `There is no process ${pid}.`, 'Give the number of one that runs.')
}

/** Throws a Failure that names the capability that is missing. */
export function demandRights({ netns, pid, container }: PlaceWish, loadsProgram = false): void {
  const entersAnother = (netns ?? pid ?? container) !== undefined
  const needed: Capability[] = ['CAP_NET_ADMIN']
  if (entersAnother || loadsProgram) needed.push('CAP_SYS_ADMIN')
  const missing = needed.filter((name) => hasCapability(name) === false)
  if (missing.length === 0) return
  const program = loadsProgram ? ' and loading an eBPF program' : ''
  const purpose = `Changing interfaces${entersAnother ? ' of another network namespace' : ''}${program}`
  throw new Failure(EXIT_NO_PERMISSION, `${purpose} takes ${missing.join(' and ')}.`, 'Run it as root (sudo).')
}

/** Asks docker, then podman, through their command lines. */
async function containerProcess(container: string): Promise<number> {
  const said: string[] = []
  for (const engine of ENGINES) {
    try {
      const text = await runCommand([engine, 'inspect', '--type', 'container', '--format', '{{.State.Pid}}', container])
      const pid = Number(text.trim())
      if (Number.isInteger(pid) && pid > 0) return pid
      throw new Failure(
        EXIT_UNAVAILABLE,
        `The container ${container} does not run.`,
        `Start it: ${engine} start ${container}.`,
      )
    } catch (error) {
      if (error instanceof CommandError) said.push(`${engine}: ${error.said}`)
      else if (!(error instanceof MissingTool)) throw error
    }
  }
  if (said.length === 0) {
    const mend = 'Give --pid of a process in the container instead.'
    throw new Failure(EXIT_UNAVAILABLE, 'Neither docker nor podman is on PATH.', mend)
  }
  throw new Failure(
    EXIT_UNAVAILABLE,
    `No container ${container} was found: ${said.join('; ')}`,
    'See which run: docker ps.',
  )
}
