import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../waiting.ts'
import { TestCluster } from './cluster.ts'
import { kafkaClasspath } from './jars.ts'

const CLUSTER_ID = 'bWlycm9yLWNvbGxlY3Rvcg'
const START_LIMIT_MS = 60_000
/** Tests want a broker soon, not a fast one. */
const LOG_LEVEL = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
const JAVA_OPTIONS = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export interface BrokerOptions {
  /** Ports of its own by default. */
  readonly ports?: { readonly broker: number; readonly controller: number }
  /** Lines of server.properties, replacing those of the same name. */
  readonly properties?: Readonly<Record<string, string>>
  /** Arguments of the storage tool's `format`. */
  readonly format?: readonly string[]
  /** A fast one: for measuring. */
  readonly javaOptions?: readonly string[]
  /** A node of a cluster whose controller is another; the first one is 1. */
  readonly node?: { readonly id: number; readonly controllerPort: number }
}

/** Apache Kafka 4 as one process, broker and controller, with a log folder of its own. */
export class KafkaBroker extends TestCluster {
  readonly port: number
  readonly controllerPort: number
  readonly folder: string
  readonly #options: BrokerOptions
  #child: ChildProcess | undefined

  private constructor(options: BrokerOptions, port: number, controllerPort: number) {
    super()
    this.#options = options
    this.port = port
    this.controllerPort = controllerPort
    this.folder = mkdtempSync(join(tmpdir(), 'kafka-'))
    this.#writeProperties()
    const command = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', this.#properties]
    execFileSync('java', ['-cp', kafkaClasspath()!, ...JAVA_OPTIONS, ...command, ...(options.format ?? [])], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  }

  static async start(options: BrokerOptions = {}): Promise<KafkaBroker> {
    const [port, controllerPort] = options.ports
      ? [options.ports.broker, options.ports.controller]
      : [await freePort(), options.node?.controllerPort ?? (await freePort())]
    const broker = new KafkaBroker(options, port!, controllerPort!)
    try {
      await broker.run()
    } catch (error) {
      await broker.dispose()
      throw error
    }
    return broker
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** What it has logged. */
  get log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8')
  }

  /** Starts it, again after stop() or kill(), and waits until it answers. */
  async run(): Promise<void> {
    const output = openSync(join(this.folder, 'log'), 'a')
    const java = [
      LOG_LEVEL,
      '-cp',
      kafkaClasspath()!,
      ...(this.#options.javaOptions ?? JAVA_OPTIONS),
      'kafka.Kafka',
      this.#properties,
    ]
    const child = spawn('java', java, { stdio: ['ignore', output, output] })
    this.#child = child
    process.on('exit', this.#killNow)
    await until(
      'the broker answers',
      async () => {
        if (child.exitCode !== null)
          throw new Error(`the broker ended with ${child.exitCode}:\n${this.log.slice(-2000)}`)
        return (await this.admin((admin) => admin.describeCluster()).catch(() => undefined)) !== undefined
      },
      START_LIMIT_MS,
    )
  }

  /** Asks it to end, and waits. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Ends it at once, and waits. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  override async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    process.removeListener('exit', this.#killNow)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  get #properties(): string {
    return join(this.folder, 'server.properties')
  }

  #writeProperties(): void {
    const { node } = this.#options
    const controller = `CONTROLLER://127.0.0.1:${this.controllerPort}`
    const listener = `PLAINTEXT://127.0.0.1:${this.port}`
    const properties = {
      'process.roles': node === undefined ? 'broker,controller' : 'broker',
      'node.id': String(node?.id ?? 1),
      'controller.quorum.voters': `1@127.0.0.1:${this.controllerPort}`,
      listeners: node === undefined ? `${listener},${controller}` : listener,
      'advertised.listeners': listener,
      'controller.listener.names': 'CONTROLLER',
      'log.dirs': join(this.folder, 'data'),
      'offsets.topic.replication.factor': '1',
      'offsets.topic.num.partitions': '1',
      'transaction.state.log.replication.factor': '1',
      'transaction.state.log.min.isr': '1',
      'group.initial.rebalance.delay.ms': '0',
      'group.min.session.timeout.ms': '1000',
      'auto.create.topics.enable': 'false',
      // Frames from old captures are older than the week that a topic keeps: 30 s after its start the broker would take them away.
      'log.retention.ms': '-1',
      // A broker that was killed may not come back before its last session has timed out: 9 s by default.
      'broker.session.timeout.ms': '3000',
      'broker.heartbeat.interval.ms': '500',
      ...this.#options.properties,
    }
    const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
    writeFileSync(this.#properties, lines.join(''))
  }

  readonly #killNow = (): void => {
    this.#child?.kill('SIGKILL')
  }
}

/** Below those that the kernel gives to sockets that ask for any (ip_local_port_range): it could do so before the broker is there. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) =>
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)),
    )
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
