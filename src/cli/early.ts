import { readFileSync } from 'node:fs'
import { EXIT_UNAVAILABLE } from '../config/terms/failure.ts'
import { startWorkerEarly } from '../pipeline/worker-thread.ts'
import { likelyHalves, startLikelyThread } from '../sinks/early-threads.ts'
import { CAPTURE_SOURCE } from '../sources/file/file-source.ts'

/** What runs no pipeline. */
const OTHER_COMMANDS = ['check', 'demo', 'extcap', 'help']
const OTHER_OPTIONS = ['-h', '--help', '-V', '--version']
/** Node reads modules side by side, in each thread: below this it may find no descriptor for one (tried: 110 do not do, 128 do). */
const FEWEST_FILES = 192

/**
 * V8 looks for memory to give back 8 s after a start: 60 ms of CPU, and pauses of 5 to 17 ms in the thread that reads packets.
 * Nothing is to be gained there, as frames leave no garbage behind.
 */
const NO_MEMORY_REDUCER = '--no-memory-reducer'

/** What must be so before the rest is loaded; false when the program cannot run, which has been said. */
export async function prepare(argv: readonly string[]): Promise<boolean> {
  // A SIGUSR1 that came before anybody listened has opened the inspector, to every user of this machine.
  const asked = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((flags) => flags.includes('--inspect'))
  if (!asked) (await import('node:inspector')).close()
  // To read again what is about to be read for the first time, or to reopen what is not open, is nothing to end for.
  if (runsPipeline(argv)) process.on('SIGHUP', () => {})
  const limit = openFilesLimit()
  if (limit >= FEWEST_FILES) return true
  process.stderr.write(
    `mirror-collector: no more than ${limit} files may be open at a time, too few to start.\n` +
      `Allow more: ulimit -n 1024; in a systemd unit LimitNOFILE=1024.\n`,
  )
  process.exitCode = EXIT_UNAVAILABLE
  return false
}

/** What can begin before the modules that read the command line are loaded. A wrong guess costs time and nothing else. */
export function startEarly(argv: readonly string[]): void {
  if (!runsPipeline(argv)) return
  // Before the threads start, as each reads it then.
  process.getBuiltinModule('node:v8').setFlagsFromString(NO_MEMORY_REDUCER)
  startWorkerEarly([...(argv[0] === 'decap' ? [CAPTURE_SOURCE] : []), ...likelyHalves(argv)])
  startLikelyThread(argv)
}

function runsPipeline(argv: readonly string[]): boolean {
  return !OTHER_COMMANDS.includes(argv[0] ?? '') && !argv.some((word) => OTHER_OPTIONS.includes(word))
}

/** The soft limit; Infinity where nothing tells. */
function openFilesLimit(): number {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
