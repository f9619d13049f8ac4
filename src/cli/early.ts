import { startWorkerEarly } from '../pipeline/worker-thread.ts'

/** What runs no pipeline. */
const OTHER_COMMANDS = ['check', 'demo', 'extcap']
const OTHER_OPTIONS = ['-h', '--help', '-V', '--version']

/** What can begin before the modules that read the command line are loaded. A wrong guess costs time and nothing else. */
export function startEarly(argv: readonly string[]): void {
  if (OTHER_COMMANDS.includes(argv[0] ?? '') || argv.some((word) => OTHER_OPTIONS.includes(word))) return
  startWorkerEarly()
}
