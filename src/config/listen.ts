import { isIP } from 'node:net'
import { z } from 'zod'
import type { KafkaListen } from '../kafka/listen.ts'
import type { Listener } from '../sources/source.ts'
import { ENCAPSULATIONS, encapsulationNamed, encapsulationOfPort } from '../wire/registry.ts'
import { KAFKA_PREFIX, parseKafkaListen } from './kafka-listen.ts'
import { quotable } from './quotable.ts'
import { problem } from './terms/problem.ts'

const HOW = 'Write [ENCAP://][HOST]:PORT, e.g. :4789, 10.0.0.2:4789, [2001:db8::2]:4789 or vxlan://:5000.'
const LARGEST_PORT = 65_535

/** What is collected from: a listener, or a topic that another collector wrote to. */
export type ListenWish = Listener | KafkaListen

export function isKafka(wish: ListenWish): wish is KafkaListen {
  return 'topic' in wish
}

export function networkListeners(wishes: readonly ListenWish[]): Listener[] {
  return wishes.filter((wish): wish is Listener => !isKafka(wish))
}

export const listenWish: z.ZodType<ListenWish, string> = z.string().transform((text, context) => {
  const result = text.startsWith(KAFKA_PREFIX) ? parseKafkaListen(text) : parseListen(text)
  if (typeof result !== 'string') return result
  context.addIssue(result.includes('\n') ? result : problem(result, HOW))
  return z.NEVER
})

/** `[ENCAP://][HOST]:PORT`; the encapsulation defaults by the port, the port by the encapsulation. */
export const listener: z.ZodType<Listener, string> = z.string().transform((text, context) => {
  const result = parseListen(text)
  if (typeof result !== 'string') return result
  context.addIssue(problem(result, HOW))
  return z.NEVER
})

/** A text tells what is wrong. */
function parseListen(text: string): Listener | string {
  // What follows may be meant for another kind of listener, and be a secret.
  if (text.includes('?')) return `"${quotable(text.split('?')[0]!, [], true)}" takes nothing behind it`
  const [, name, host = '', portText] = /^(?:([a-z0-9-]+):\/\/)?(\[.*\]|[^:]*|.*?)(?::(\d+))?$/.exec(text) ?? []
  const named = name === undefined ? -1 : encapsulationNamed(name)
  if (name !== undefined && named < 0) {
    const names = ENCAPSULATIONS.map((encapsulation) => encapsulation.name).join(', ')
    return `"${name}" is not an encapsulation; there are: ${names}`
  }
  const ipProtocol = ENCAPSULATIONS[named]?.ipProtocol
  if (ipProtocol !== undefined && portText !== undefined) return `${name} is an IP protocol and has no port`
  const port = portText === undefined ? (ENCAPSULATIONS[named]?.udpPorts[0] ?? ipProtocol) : Number(portText)
  if (port === undefined) return `"${text}" names no port`
  if (port > LARGEST_PORT) return `port ${port} is above ${LARGEST_PORT}`
  const address = host.replace(/^\[(.*)\]$/, '$1')
  if (address !== '' && isIP(address) === 0) return `"${host}" is not an IP address`
  if (isIP(address) === 6 && address === host) return `the IPv6 address ${host} needs brackets around it`
  if (/^::ffff:.*\./i.test(address)) return `${host} is an IPv4 address: write it as one`
  if (address.includes('%') && !/^f(?:e[89ab]|f)/i.test(address))
    return `${host} has the name of an interface behind it, which only link-local addresses (fe80::/10) take`
  const encapsulation = named >= 0 ? named : encapsulationOfPort(port)
  if (encapsulation < 0) return `port ${port} belongs to no encapsulation by convention, so its name is needed`
  return { encapsulation, host: address === '' ? undefined : address, port }
}
