import type { Logger } from 'pino'
import type { HttpListen } from '../config/http-listen.ts'
import type { SinkText } from '../config/sink-wish.ts'
import type { UserWish } from '../config/user.ts'
import { compileWish } from '../pipeline/filter-wish.ts'
import type { PipelineOptions } from '../pipeline/plan.ts'
import { Supervisor } from '../pipeline/supervisor.ts'
import { dismissEarlyThreads } from '../sinks/early-threads.ts'
import { sourceType } from '../sources/registry.ts'
import type { SourcePlan } from '../sources/source.ts'
import { closingLines, type Report } from '../telemetry/report.ts'
import { type Account, become, findAccount, writableFiles } from './account.ts'
import { writeToStandardError } from './logger.ts'
import { type Reread, reload } from './reload.ts'
import { ReportFile } from './report-file.ts'
import { ServiceManager } from './service-manager.ts'
import { sinkNames, sinkWish, sinkWishes, targetOf } from './sink-wishes.ts'
import { StatusLine } from './status-line.ts'
import { Telemetry } from './telemetry.ts'
import { closedFolders, ownAccess, sinkFolders } from './user-folders.ts'

/** What every command that runs a pipeline takes; its schema says what each means. */
export interface RunOptions {
  readonly out: readonly SinkText[]
  readonly vni: PipelineOptions['wanted']
  readonly allowFrom: readonly string[]
  readonly strict: boolean
  readonly greKeyMode: PipelineOptions['greKeyMode']
  readonly filter?: string | undefined
  readonly sample?: number | undefined
  readonly dedup?: number | undefined
  readonly depth?: PipelineOptions['depth']
  readonly snaplen: number
  readonly timestamps: PipelineOptions['timestamps']
  readonly ipFrames: PipelineOptions['ipFrames']
  readonly ethernetSource?: Uint8Array | undefined
  readonly ethernetDestination?: Uint8Array | undefined
  readonly fcs: PipelineOptions['fcs']
  readonly headers?: PipelineOptions['headers']
  readonly fixChecksums: boolean
  readonly quarantine?: SinkText | undefined
  readonly count: number
  readonly workers?: number
  readonly duration?: number | undefined
  readonly user?: UserWish | undefined
  readonly stats?: number | undefined
  readonly http?: HttpListen | undefined
  readonly healthPort?: number | undefined
  readonly report?: string | undefined
  readonly quiet: boolean
  readonly logLevel: string
  /** The file that options came from. */
  readonly config?: string | undefined
}

/** How a pipeline ended. */
export interface Outcome {
  /** What was wrong with the input, if anything. */
  readonly problem: string | undefined
  readonly report: Report
  /** It was asked to end before the input did: by a signal, by --duration, by a reader who left. */
  readonly stopped: boolean
}

/** The longest time that a timer of Node's can wait: nearly 25 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** How late --duration may end. */
const CLOCK_MS = 100

/**
 * Runs a pipeline from its first line to its report: signals, statistics, the end. `announce` is told what the source
 * listens on or reads, once it does. Throws Failure.
 */
export async function runPipeline(
  source: SourcePlan,
  run: RunOptions,
  log: Logger,
  announce: (description: readonly string[]) => void,
  reread?: Reread,
): Promise<Outcome> {
  const live = sourceType(source.engine).canWait !== true
  const wishes = sinkWishes(run, live)
  const quarantine = run.quarantine && sinkWish(run.quarantine, '--quarantine', live)
  const account = run.user && findAccount(run.user)
  const before = new Set(account && writableFiles().values())
  const file = reportFile(source, run)
  const supervisor = new Supervisor(log)
  const service = new ServiceManager(process.env)
  const release = handleSignals(supervisor, service, log, reread)
  const timers: NodeJS.Timeout[] = []
  const telemetry = new Telemetry(supervisor)
  let line: StatusLine | undefined
  try {
    try {
      await telemetry.open(run.http, run.healthPort)
      await supervisor.start({ ...pipelineOptions(source, run), mayGrow: reread !== undefined }, wishes, quarantine)
      dismissEarlyThreads()
    } catch (error) {
      file?.discard()
      throw error
    }
    const closed = account === undefined ? [] : await dropPrivileges(account, before, supervisor, run, file)
    announce(supervisor.description)
    supervisor.announced()
    telemetry.collecting()
    timers.push(...tellServiceManager(service, supervisor, log), ...ownTimers(run, supervisor, service, log))
    if (telemetry.url !== undefined) log.info(`live page and metrics at ${telemetry.url}`)
    for (const warning of [...supervisor.warnings, ...closed]) log.warn(warning)
    if (!run.quiet && run.logLevel !== 'silent') line = StatusLine.open(() => supervisor.snapshot(), source.file)
    const problem = await supervisor.finished().finally(() => {
      line?.close()
      conclude(supervisor.report(), run, file)
    })
    return { problem, report: supervisor.report(), stopped: supervisor.stopped }
  } finally {
    for (const timer of timers) clearTimeout(timer)
    line?.close()
    telemetry.close()
    release()
  }
}

/** Of --stats and --duration. */
function ownTimers(run: RunOptions, supervisor: Supervisor, service: ServiceManager, log: Logger): NodeJS.Timeout[] {
  const timers: NodeJS.Timeout[] = []
  if (run.stats !== undefined)
    timers.push(setInterval(() => logStatistics(supervisor, log), Math.min(run.stats, LONGEST_TIMER_MS)))
  if (run.duration !== undefined) timers.push(stopAfter(() => stop(supervisor, service), run.duration))
  return timers
}

function pipelineOptions(source: SourcePlan, run: RunOptions): PipelineOptions {
  return {
    source,
    strict: run.strict,
    greKeyMode: run.greKeyMode,
    depth: run.depth,
    wanted: run.vni,
    allowFrom: run.allowFrom,
    filter: run.filter === undefined ? undefined : compileWish(run.filter, `--filter "${run.filter}"`),
    sample: run.sample,
    dedup: run.dedup,
    snapLength: run.snaplen,
    timestamps: run.timestamps,
    ipFrames: run.ipFrames,
    ethernetAddresses: ethernetAddresses(run),
    fcs: run.fcs,
    headers: run.headers,
    fixChecksums: run.fixChecksums,
    countPeers: run.http !== undefined,
    count: run.count,
    workers: run.workers ?? 1,
  }
}

/** Destination and source, as they stand in a frame. */
function ethernetAddresses({ ethernetSource, ethernetDestination }: RunOptions): Uint8Array {
  const addresses = new Uint8Array(12)
  addresses.set(ethernetDestination ?? [], 0)
  addresses.set(ethernetSource ?? [], 6)
  return addresses
}

function conclude(report: Report, run: RunOptions, file: ReportFile | undefined): void {
  if (!run.quiet && run.logLevel !== 'silent') writeToStandardError(closingLines(report))
  file?.write(`${JSON.stringify(report)}\n`)
}

/** Makes the file for `--report`, where it is wanted. Throws Failure. */
export function reportFile(source: Pick<SourcePlan, 'file'>, run: RunOptions): ReportFile | undefined {
  if (run.report === undefined) return undefined
  const targets = [...run.out, ...(run.quarantine ? [run.quarantine] : [])].map(targetOf)
  const files = [
    ...(source.file === undefined ? [] : [source.file === '-' ? '/dev/stdin' : source.file]),
    ...targets.filter((target) => target !== '').map((target) => (target === '-' ? '/dev/stdout' : target)),
    ...(run.config === undefined ? [] : [run.config]),
  ]
  return new ReportFile(run.report, { files, names: sinkNames(run) })
}

/** Gives up root. Returns what sinks cannot do from then on. */
async function dropPrivileges(
  account: Account,
  before: Set<string>,
  supervisor: Supervisor,
  run: RunOptions,
  file?: ReportFile,
): Promise<string[]> {
  try {
    const folders = sinkFolders(run)
    file?.handTo(account.uid, account.gid)
    become(account, before)
    file?.requirePlace()
    return closedFolders(folders, run.user!.user, ownAccess).map(({ what, mend }) => `${what}. ${mend}`)
  } catch (error) {
    supervisor.stop()
    supervisor.announced()
    await supervisor.finished()
    throw error
  }
}

/** READY=1, and from then on WATCHDOG=1 while each worker takes turns, or has been told to end and finishes its files. */
function tellServiceManager(service: ServiceManager, supervisor: Supervisor, log: Logger): NodeJS.Timeout[] {
  service.isReady(supervisor.description.join(', '))
  if (service.failure !== undefined) log.warn(`systemd could not be told that all is well: ${service.failure}`)
  if (service.watchdogMs === undefined) return []
  let before: readonly number[] = []
  const look = () => {
    const { turns } = supervisor
    if (supervisor.stopped || turns.every((turn, worker) => turn !== before[worker])) service.isAlive()
    before = turns
  }
  return [setInterval(look, service.watchdogMs)]
}

function stop(supervisor: Supervisor, service: ServiceManager): void {
  service.isStopping()
  supervisor.stop()
}

/** SIGINT and SIGTERM drain and end, SIGHUP reads the configuration again and reopens files, SIGUSR1 shows the statistics. Returns how to let go of them. */
function handleSignals(
  supervisor: Supervisor,
  service: ServiceManager,
  log: Logger,
  reread: Reread | undefined,
): () => void {
  const end = () => stop(supervisor, service)
  // One after the other, however many signals come.
  let last: Promise<void> = Promise.resolve()
  let isAhead = false
  const reopen = () => {
    // One that has not begun will do what this one asks for.
    if (isAhead) return
    isAhead = true
    last = last.then(async () => {
      isAhead = false
      service.isReloading()
      if (reread !== undefined) await reload(supervisor, reread, log)
      supervisor.reopenSinks()
      service.isReady()
    })
  }
  const show = () => logStatistics(supervisor, log)
  const handlers: [NodeJS.Signals, () => void][] = [
    ['SIGINT', end],
    ['SIGTERM', end],
    ['SIGHUP', reopen],
    ['SIGUSR1', show],
  ]
  for (const [signal, handler] of handlers) process.on(signal, handler)
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler)
  }
}

function logStatistics(supervisor: Supervisor, log: Logger): void {
  log.info({ ...supervisor.report() }, 'Statistics.')
}

/** Looks again and again, as a timer of Node's waits 25 days at most; by a clock that nobody sets. */
function stopAfter(stop: () => void, milliseconds: number): NodeJS.Timeout {
  const deadline = performance.now() + milliseconds
  const look = () => {
    if (performance.now() >= deadline) stop()
  }
  return setInterval(look, Math.min(milliseconds, CLOCK_MS))
}
