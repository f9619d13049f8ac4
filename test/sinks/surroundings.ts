import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { KafkaBroker } from '../support/kafka/broker.ts'
import { readTopic } from '../support/kafka/kcat.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import type { Need } from '../support/requirements.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

/** Sees what comes out of a sink. */
export interface Recording {
  /** Once `frames` have come out: their bytes in lower-case hexadecimal, in order. */
  frames(frames: number): Promise<string[]>
}

/** What a kind of sink needs around it, so that the contract suite can run its example. */
export interface Surroundings {
  readonly needs: readonly Need[]
  /** The shortest frame that it can write. */
  readonly shortest: number
  /** Makes what the sink needs; returns how to take it away. */
  prepare(): (() => void | Promise<void>) | Promise<() => void | Promise<void>>
  /** Begins to see what comes out of an open sink that writes to `folder`; undefined for a sink that nothing comes out of. */
  record(folder: string): Promise<Recording | undefined>
  /** What is there of the sink's making, by name. */
  remains(folder: string): string[]
}

const nothing: Surroundings = {
  needs: [],
  shortest: 0,
  prepare: () => () => {},
  record: async () => undefined,
  remains: () => [],
}

const files: Surroundings = {
  ...nothing,
  needs: ['tshark'],
  record: async (folder) => ({
    frames: async () =>
      readdirSync(folder)
        .sort()
        .flatMap((file) => framesOf(join(folder, file)))
        .map(({ bytes }) => bytes),
  }),
  remains: (folder) => readdirSync(folder),
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Frames that arrive at a device, by tcpdump. Its 64 MiB hold 1000 of whatever length; more of those that are no longer than `longest`. */
export async function recordDevice(device: string, folder: string, longest = 0): Promise<Recording> {
  const file = join(folder, 'seen.pcap')
  const options = ['-i', device, '-Q', 'in', '-U', '--immediate-mode', '-B', '65536', '-s', `${longest}`, '-w', file]
  const tcpdump = spawn('tcpdump', options, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  tcpdump.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until('tcpdump listens', () => said.includes('listening on') || tcpdump.exitCode !== null)
  if (tcpdump.exitCode !== null) throw new Error(said)
  return {
    frames: async (frames) => {
      const seen = () => (existsSync(file) ? framesOf(file).map(({ bytes }) => bytes) : [])
      try {
        await until(`tcpdump has seen ${frames} frames on ${device}`, () => seen().length >= frames)
      } finally {
        await end(tcpdump)
      }
      return seen()
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGINT')
  if (child.exitCode === null) await exited
}

const tap = {
  needs: ['root', 'namespaces', 'ip', 'tcpdump', 'tshark'],
  shortest: 14,
  prepare: () => {
    const namespace = new OwnNamespace()
    return () => namespace.leave()
  },
  record: (folder) => recordDevice('ids0', folder),
  remains: () => (existsSync('/proc/sys/net/ipv4/conf/ids0') ? ['ids0'] : []),
} satisfies Surroundings

const cable: Surroundings = {
  ...tap,
  prepare: () => {
    const leave = tap.prepare()
    ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'far')
    for (const end of ['eth1', 'far']) {
      ip('link', 'set', end, 'addrgenmode', 'none')
      ip('link', 'set', end, 'up')
    }
    return leave
  },
  record: (folder) => recordDevice('far', folder),
  remains: () => [],
}

/** A broker on the port that the example names, in a namespace of its own: that port may be taken here. */
const kafka: Surroundings = {
  ...nothing,
  needs: ['root', 'namespaces', 'ip', 'own-kafka', 'kcat'],
  prepare: async () => {
    const namespace = new OwnNamespace()
    ip('link', 'set', 'lo', 'up')
    const broker = await KafkaBroker.start({ ports: { broker: 9092, controller: 9093 } })
    await broker.createTopic('mirror')
    return async () => {
      await broker.dispose()
      namespace.leave()
    }
  },
  record: async () => {
    const read = () => readTopic('127.0.0.1:9092', 'mirror')
    const before = read().length
    return {
      frames: async () =>
        read()
          .slice(before)
          .map(({ value }) => value),
    }
  },
}

/** By type of sink; a sink that is not named here writes nothing that could be read back. */
const SURROUNDINGS: Readonly<Record<string, Surroundings>> = {
  pcap: files,
  pcapng: files,
  tap,
  interface: cable,
  kafka,
}

export function surroundingsOf(type: string): Surroundings {
  return SURROUNDINGS[type] ?? nothing
}
