import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import { withoutControls } from '../config/terms/without-controls.ts'

const run = promisify(execFile)
const LARGEST_LISTING = 256 * 1024 * 1024

/** A command that did not do what it was asked to; `said` is its own first line about it. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly said: string
  readonly stderr: string

  constructor(argv: readonly string[], said: string, stderr: string) {
    super(`${argv.join(' ')}: ${said}`)
    this.said = said
    this.stderr = stderr
  }
}

/** A tool that is not on PATH. */
export class MissingTool extends Failure {
  constructor(tool: string) {
    const mend = `Install ${PACKAGES[tool] ?? tool}; mirror-sender works through its command line.`
    super(EXIT_UNAVAILABLE, `There is no command "${tool}" on this host.`, mend)
  }
}

/** Where commands run: this host, or another network namespace. */
export interface Place {
  /** For people: "netns red". */
  readonly name: string
  /** The option of mirror-sender that leads there; absent: none, it is this host. */
  readonly option?: readonly string[]
  /** The whole argument vector for a command of `ip`, `tc` or another tool there. */
  argv(command: readonly string[]): readonly string[]
}

export const HERE: Place = { name: 'this host', argv: (command) => command }

/** A named network namespace: `ip` and `tc` enter it themselves. */
export function netnsPlace(name: string): Place {
  return {
    name: `netns ${name}`,
    option: ['--netns', name],
    argv: ([tool = '', ...rest]) =>
      tool === 'ip' || tool === 'tc' ? [tool, '-n', name, ...rest] : ['ip', 'netns', 'exec', name, tool, ...rest],
  }
}

/** The network namespace of a process. */
export function processPlace(pid: number, name: string = `process ${pid}`): Place {
  const option = ['--pid', `${pid}`]
  return { name, option, argv: (command) => ['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...command] }
}

/**
 * Runs a command to its end and gives its standard output. Ctrl-C does not reach it: it runs in a session of its own, so
 * that what was begun is ended. Throws CommandError, or Failure where the tool is not there.
 */
export async function runCommand(argv: readonly string[], input = ''): Promise<string> {
  const [tool = '', ...args] = argv
  try {
    const options = { maxBuffer: LARGEST_LISTING, env: { ...process.env, LC_ALL: 'C' }, detached: true }
    const child = run(tool, args, options)
    child.child.stdin?.on('error', () => {})
    child.child.stdin?.end(input)
    return (await child).stdout
  } catch (error) {
    if (isMissing(error)) throw new MissingTool(tool)
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
    throw new CommandError(argv, complaint(error, stderr), stderr)
  }
}

/**
 * Runs a command whose standard output is JSON. iproute2 prints control characters in names as they are, which JSON does not
 * have; bytes that are no UTF-8 are U+FFFD by now. Throws SyntaxError, too.
 */
export async function runForJson(argv: readonly string[]): Promise<unknown> {
  return JSON.parse(withoutControls(await runCommand(argv)) || '[]')
}

/** Whether a name of `ip` or `tc` can be told to them: what is no UTF-8 cannot. */
export function canBeNamed(device: string): boolean {
  return !device.includes('\ufffd')
}

const PACKAGES: Readonly<Record<string, string>> = { ip: 'iproute2', tc: 'iproute2', nsenter: 'util-linux' }

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** iproute2 puts the kernel's words first and its own "We have an error talking to the kernel" behind them. */
function complaint(error: unknown, stderr: string): string {
  const line = stderr.split('\n').find((text) => text.trim() !== '')
  return (line ?? (error instanceof Error ? error.message : String(error)))
    .replace(/^(Error|RTNETLINK answers): /, '')
    .replace(/\.$/, '')
}
