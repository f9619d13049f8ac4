import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type TestAPI, test } from 'vitest'
import { isReachable, KAFKA_BROKERS } from './kafka/given-brokers.ts'
import { kafkaClasspath } from './kafka/jars.ts'

const TOOLS = [
  'tcpdump',
  'tshark',
  'capinfos',
  'editcap',
  'mergecap',
  'gcc',
  'ip',
  'tc',
  'ethtool',
  'gzip',
  'mkfifo',
  'strace',
  'setpriv',
  'prlimit',
  'faketime',
  'losetup',
  'fsfreeze',
  'mkfs.ext4',
  'tcpreplay',
  'argus',
  'racluster',
  'ngrep',
  'ovs-vsctl',
  'kcat',
  'chromium',
  'script',
  'systemd-analyze',
  'docker',
  'dockerd',
  'dumpcap',
  'openssl',
  'mandoc',
] as const

/** What a test may need from the machine: a command on PATH, or one of the named conditions. */
export type Need =
  | (typeof TOOLS)[number]
  | 'linux'
  | 'root'
  | 'namespaces'
  | 'scapy'
  | 'libpcap'
  | 'shared-captures'
  | 'shared-prototypes'
  | 'build'
  | 'npm-registry'
  | 'python'
  | 'kafka'
  | 'own-kafka'

const PROJECT = new URL('../../', import.meta.url).pathname
/** Captures that several projects share; absent from a plain checkout. */
export const SHARED_CAPTURES: string = join(PROJECT, '../shared/captures')
/** The compiled command. */
export const BUILT_COMMAND: string = join(PROJECT, 'dist/bin/mirror-collector.js')

let pythonWithScapy: string | undefined

/** A python that has scapy: the first on PATH may be one without. */
export function scapyPython(): string | undefined {
  pythonWithScapy ??= ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-c', 'import scapy']).status === 0,
  )
  return pythonWithScapy
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

const checks = new Map<Need, () => boolean>([
  ...TOOLS.map((tool): [Need, () => boolean] => [tool, () => isOnPath(tool)]),
  ['linux', () => process.platform === 'linux'],
  // framesOf reads with editcap, which comes with tshark.
  ['tshark', () => isOnPath('tshark') && isOnPath('editcap')],
  ['root', () => process.getuid?.() === 0],
  ['namespaces', () => isOnPath('ip') && spawnSync('unshare', ['-n', 'true']).status === 0],
  ['python', () => isOnPath('python3')],
  ['scapy', () => scapyPython() !== undefined],
  ['libpcap', hasLibpcap],
  ['shared-captures', () => existsSync(join(SHARED_CAPTURES, 'INDEX.tsv'))],
  ['shared-prototypes', () => existsSync(join(PROJECT, '../shared/prototypes'))],
  // The broker that the user names, or Java, and Maven or what it has fetched before.
  ['kafka', () => (KAFKA_BROKERS === undefined ? kafkaClasspath() !== undefined : isReachable(KAFKA_BROKERS))],
  // One to stop, to kill and to set up.
  ['own-kafka', () => KAFKA_BROKERS === undefined && kafkaClasspath() !== undefined],
  ['build', () => existsSync(BUILT_COMMAND)],
  // The registry itself, or what npm keeps of it.
  ['npm-registry', () => spawnSync('npm', ['view', 'koffi', 'name', '--prefer-offline']).status === 0],
])

/** The dynamic linker's own answer, for a library that programs load while they run. */
function hasLibpcap(): boolean {
  return spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout?.includes('libpcap.so.') ?? false
}

/** What is not there, where its name does not tell. */
const reasons: Partial<Record<Need, string>> =
  KAFKA_BROKERS === undefined
    ? { kafka: 'kafka (KAFKA_BROKERS=HOST:PORT, or Java and Maven)', 'own-kafka': 'kafka (Java and Maven)' }
    : {
        kafka: `kafka (nothing answers at KAFKA_BROKERS=${KAFKA_BROKERS})`,
        'own-kafka': `a broker to stop and set up (KAFKA_BROKERS=${KAFKA_BROKERS} is somebody's)`,
      }

const answers = new Map<Need, boolean>()

function isMet(need: Need): boolean {
  const known = answers.get(need)
  if (known !== undefined) return known
  const answer = checks.get(need)!()
  answers.set(need, answer)
  return answer
}

/** The needs this machine does not meet. */
export function unmet(...needs: Need[]): Need[] {
  return needs.filter((need) => !isMet(need))
}

/**
 * vitest's `test` for tests with needs: `const it = requires('root', 'tcpdump')`.
 * With a need unmet every test made from it is skipped and the reason printed; with MC_REQUIRE_ROOT=1 every one fails.
 */
export function requires(...needs: Need[]): TestAPI {
  const missing = unmet(...needs)
  if (missing.length === 0) return test
  const reason = `this machine lacks: ${missing.map((need) => reasons[need] ?? need).join(', ')}`
  if (process.env.MC_REQUIRE_ROOT !== '1') {
    process.stderr.write(`skipped, ${reason}\n`)
    return test.skip as TestAPI
  }
  // An automatic fixture fails each test made from it, also those of .each, and leaves the test's own body alone.
  return test.extend<{ requirement: undefined }>({
    requirement: [
      // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from this pattern
      async ({}, _use) => {
        throw new Error(`MC_REQUIRE_ROOT=1, but ${reason}`)
      },
      { auto: true },
    ],
  }) as unknown as TestAPI
}
