import { availableParallelism } from 'node:os'
import { isKafka, networkListeners } from '../../config/listen.ts'
import type { CollectOptions } from '../../config/schema.ts'
import { type Finding, failedBy, mebibytes } from '../../config/terms/finding.ts'
import { hasCapability } from '../../dgram-extended/capabilities.ts'
import { allocateSharedMemory, openSharedMemory } from '../../dgram-extended/shared-memory.ts'
import { brokerFindings } from '../../kafka/broker-findings.ts'
import { liveEngine, sourceType } from '../../sources/registry.ts'
import { exceedLimit } from '../../sources/udp-listeners.ts'
import { workersOf } from '../workers.ts'
import type { Item } from './item.ts'
import { textOf } from './machine.ts'

const ABOUT = 'listening'
const RMEM_MAX = '/proc/sys/net/core/rmem_max'

/** Opens what would be listened on, as the collector does, and closes it again. */
export async function listeningItems(options: CollectOptions): Promise<Item[]> {
  const kafka = options.listen.find(isKafka)
  const { buffer, interface: named } = options
  const listeners = networkListeners(options.listen)
  try {
    if (kafka !== undefined) {
      workersOf(options, 'kafka', listeners)
      return about(await brokerFindings(kafka.brokers))
    }
    const { engine, reason } = liveEngine(options.engine, listeners, named)
    const workers = workersOf(options, engine, listeners)
    const plan = { engine, listeners, buffer, interface: named }
    const type = sourceType(engine)
    const byteLength = type.slabBytes(plan)
    const memory = openSharedMemory(allocateSharedMemory(byteLength))
    const source = await type.open(plan, { memory, byteOffset: 0, byteLength, peers: undefined, say: () => {} })
    const what = `--engine ${engine} can listen on ${source.description.join(', ')}`
    const warnings = source.warnings.map((text): Item => ({ level: 'warn', about: ABOUT, what: text }))
    await source.close()
    const why: Item[] = reason === undefined ? [] : [{ level: 'note', about: ABOUT, what: reason.text }]
    return [
      { level: 'ok', about: ABOUT, what },
      ...why,
      ...warnings,
      ...bufferItems(buffer, engine),
      ...workerItems(workers),
    ]
  } catch (error) {
    return about([failedBy(error)])
  }
}

function about(findings: readonly Finding[]): Item[] {
  return findings.map((finding) => ({ about: ABOUT, ...finding }))
}

/** Without CAP_NET_ADMIN a socket gets no more than the limit, one of Node.js never. A ring's memory is its own. */
function bufferItems(buffer: number, engine: string): Item[] {
  const limit = Number(textOf(RMEM_MAX) ?? Number.NaN)
  if (Number.isNaN(limit) || engine === 'ring') return []
  const what = `--buffer is ${mebibytes(buffer)}, net.core.rmem_max ${mebibytes(limit)}`
  const isGranted = buffer <= limit || (engine !== 'dgram' && hasCapability('CAP_NET_ADMIN') === true)
  if (isGranted) return [{ level: 'ok', about: 'receive buffer', what }]
  const mend = `sysctl -w net.core.rmem_max=${buffer}, or ${exceedLimit(engine)}.`
  return [{ level: 'warn', about: 'receive buffer', what, mend }]
}

function workerItems(workers: number): Item[] {
  const processors = availableParallelism()
  if (workers <= processors) return []
  const what = `${workers} of them on ${processors} processors gain nothing`
  const mend = `Write --workers ${processors}, or less: sinks have threads, too.`
  return [{ level: 'note', about: 'workers', what, mend }]
}
