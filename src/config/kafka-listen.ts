import { parseTarget } from '../kafka/access-options.ts'
import { type KafkaListen, listenSettings } from '../kafka/listen.ts'
import { parseQuery } from './query.ts'
import { quotablePair } from './quotable.ts'

const EXAMPLE = 'kafka:broker1:9092/mirror?group=ids'
const KNOWN = Object.keys(listenSettings.shape)
export const KAFKA_PREFIX = 'kafka:'

/** `kafka:HOST:PORT[,HOST:PORT]/TOPIC?group=NAME`; a text tells what is wrong, and on a second line how to mend it. */
export function parseKafkaListen(text: string): KafkaListen | string {
  const [location = '', ...query] = text.slice(KAFKA_PREFIX.length).split('?')
  const mend = `Write e.g. ${EXAMPLE}.`
  const target = parseTarget(location)
  if (typeof target === 'string') return `${target}\n${mend}`
  if (target.topic.includes('{')) return `"${target.topic}" has fields: one topic is read\n${mend}`
  const settings = parseQuery(query.join('?'), (pair) => quotablePair(pair, KNOWN, true))
  if (typeof settings === 'string') return `${settings}\n${mend}`
  const result = listenSettings.safeParse(settings)
  if (!result.success) {
    const { message, path } = result.error.issues[0]!
    const [what = '', how = mend] = message.split('\n')
    return `${path.length > 0 ? `${String(path[0])}: ` : ''}${what}\n${how}`
  }
  const { group, from, ...access } = result.data
  return { ...target, group, from, access }
}
