import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { EXIT_NO_INPUT, EXIT_NO_PERMISSION, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { problem } from '../config/terms/problem.ts'
import type { KafkaAccess, KafkaTls } from './access.ts'

/** As Kafka's own client checks them; the fields stand for such characters. */
const TOPIC = /^(?:[A-Za-z0-9._-]|\{vni\}|\{encap\})+$/
const LONGEST_TOPIC = 200
const BROKER = /^[A-Za-z0-9._-]+:\d{1,5}$/
const LARGEST_PORT = 65_535

export interface BrokersAndTopic {
  readonly brokers: readonly string[]
  /** With fields, where the caller fills them in. */
  readonly topic: string
}

/** `HOST:PORT[,HOST:PORT]/TOPIC`; a text tells what is wrong. */
export function parseTarget(text: string): BrokersAndTopic | string {
  const slash = text.indexOf('/')
  if (slash < 0) return 'no topic is named'
  const brokers = text.slice(0, slash).split(',')
  const topic = text.slice(slash + 1)
  const wrong = brokers.find((broker) => !BROKER.test(broker) || Number(broker.split(':')[1]) > LARGEST_PORT)
  if (wrong !== undefined)
    return `"${wrong.replace(/.*@/, '***@')}" is not HOST:PORT, where HOST is a name or an IPv4 address`
  if (!TOPIC.test(topic) || topic === '.' || topic === '..') {
    // What follows a forgotten `?` may be a secret.
    return `"${topic.replace(/&.*/, '&***')}" cannot be the name of a topic`
  }
  return topic.length <= LONGEST_TOPIC ? { brokers, topic } : `the topic's name is longer than ${LONGEST_TOPIC}`
}

/** What sink and source take alike. Secrets are named by where they are: what stands on a command line, everyone can read. */
export const accessSettings = {
  tls: z.enum(['on']).optional(),
  'tls-ca': z.string().optional(),
  'tls-cert': z.string().optional(),
  'tls-key': z.string().optional(),
  sasl: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
  user: z.string().optional(),
  'password-env': z.string().optional(),
  'password-file': z.string().optional(),
}

export type AccessSettings = z.output<z.ZodObject<typeof accessSettings>>

/** What does not go together in the settings; undefined when all does. */
export function accessProblem(settings: AccessSettings): string | undefined {
  const { sasl, user, tls } = settings
  const passwords = [settings['password-env'], settings['password-file']].filter((value) => value !== undefined)
  const certificates = [settings['tls-ca'], settings['tls-cert'], settings['tls-key']]
  if (sasl !== undefined && (user === undefined || passwords.length !== 1)) {
    return problem(
      `sasl=${sasl} needs user= and a password`,
      'Add user=NAME&password-file=FILE, or password-env=VARIABLE.',
    )
  }
  if (sasl === undefined && (user !== undefined || passwords.length > 0)) {
    return problem('user= and a password need sasl=', 'Add sasl=scram-sha-512, scram-sha-256 or plain.')
  }
  if (tls === undefined && certificates.some((file) => file !== undefined)) {
    return problem('certificates need tls=on', 'Add tls=on.')
  }
  if ((settings['tls-cert'] === undefined) !== (settings['tls-key'] === undefined)) {
    return problem('tls-cert= and tls-key= go together', 'Give both, or neither.')
  }
  return undefined
}

/** Reads the secrets from where the settings say. @throws Failure */
export function readAccess(brokers: readonly string[], settings: AccessSettings): KafkaAccess {
  const { sasl, user } = settings
  return {
    brokers,
    ...(settings.tls && { tls: readTls(settings) }),
    ...(sasl && user !== undefined && { sasl: { mechanism: sasl, username: user, password: readPassword(settings) } }),
  }
}

function readTls(settings: AccessSettings): KafkaTls {
  const read = (key: 'tls-ca' | 'tls-cert' | 'tls-key') => settings[key] && readSecret(key, settings[key])
  const [ca, cert, key] = [read('tls-ca'), read('tls-cert'), read('tls-key')]
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
}

function readPassword(settings: AccessSettings): string {
  const variable = settings['password-env']
  if (variable === undefined) return readSecret('password-file', settings['password-file']!).replace(/\r?\n$/, '')
  const password = process.env[variable]
  if (password !== undefined && password !== '') return password
  throw new Failure(
    EXIT_USAGE,
    // Not by its name: somebody may have written the password itself.
    'password-env= names a variable that the environment does not have.',
    'Set it to the password, or use password-file=FILE.',
  )
}

function readSecret(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const exitCode = code === 'EACCES' ? EXIT_NO_PERMISSION : EXIT_NO_INPUT
    // Node.js says which file; somebody may have written the password itself there.
    const what = key === 'password-file' ? `${key}: ${message.replace(/, \w+ '.*$/, '')}` : `${key}=${path}: ${message}`
    throw new Failure(exitCode, what, 'Name a file that this user may read.')
  }
}
