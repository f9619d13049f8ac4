import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import { DemoHosts } from '../demo/hosts.ts'
import { playLive } from '../demo/live.ts'
import { playOffline } from '../demo/offline.ts'
import { CommandError } from '../sender/commands.ts'
import { demandRights } from '../sender/place.ts'

const TOOLS = ['ip', 'tc', 'ethtool', 'ping', 'tcpdump']
const ENDING = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** `mirror-collector demo`: the whole system on this machine; nothing of it stays, however it ends. Returns the exit code. */
export async function demo(): Promise<number> {
  const command = process.argv[1]!
  const missing = whatIsMissing()
  if (missing === undefined) return await live(command)
  say(`The whole system needs network namespaces. ${missing}\n`)
  await playOffline(command, say)
  return 0
}

async function live(command: string): Promise<number> {
  const interrupted = new AbortController()
  let exitCode = 0
  const interrupt = (signal: keyof typeof ENDING): void => {
    exitCode = ENDING[signal]
    interrupted.abort()
  }
  const signals = Object.keys(ENDING) as (keyof typeof ENDING)[]
  for (const signal of signals) process.on(signal, interrupt)
  // `demo | head`: its reader has gone, and what was made is removed all the same.
  process.stdout.on('error', () => interrupted.abort())
  const hosts = new DemoHosts()
  try {
    await playLive({ hosts, command, signal: interrupted.signal, say })
  } catch (error) {
    if (!interrupted.signal.aborted) throw asFailure(error)
    say('\nInterrupted.')
  } finally {
    await hosts.remove()
    for (const signal of signals) process.off(signal, interrupt)
  }
  say('All of it is removed: hosts, cables, processes, files.')
  return exitCode
}

function asFailure(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error
  const mend = 'All has been removed. See what this machine lacks: the words are those of the command.'
  return new Failure(EXIT_UNAVAILABLE, error.message, mend)
}

/** What keeps the live half from working, and how to mend it. */
function whatIsMissing(): string | undefined {
  try {
    demandRights({}, true)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return 'That takes root: sudo npx mirror-collector demo.'
  }
  const absent = TOOLS.filter((tool) => !isOnPath(tool))
  if (absent.length === 0) return undefined
  return `These commands are missing: ${absent.join(', ')}. On Debian: apt install iproute2 ethtool iputils-ping tcpdump.`
}

function isOnPath(tool: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
