import type { CollectOptions } from '../../config/schema.ts'
import { failedBy } from '../../config/terms/finding.ts'
import { HealthPort } from '../../telemetry/health-port.ts'
import { HttpServer } from '../../telemetry/http-server.ts'
import { findAccount } from '../account.ts'
import { reportFile } from '../run-pipeline.ts'
import type { Item } from './item.ts'

/** What a run needs beside sinks and what it listens on, in the order in which collecting comes to it. `config`: the file of options. */
export async function runItems(options: CollectOptions, config: string | undefined): Promise<Item[]> {
  return [...userItems(options), ...reportItems(options, config), ...(await portItems(options))]
}

function userItems({ user }: CollectOptions): Item[] {
  if (user === undefined) return []
  const about = 'user'
  try {
    const { uid, gid } = findAccount(user)
    return [{ level: 'ok', about, what: `--user ${user.user} is user ${uid}, group ${gid}` }]
  } catch (error) {
    return [{ about, ...failedBy(error) }]
  }
}

function reportItems(options: CollectOptions, config: string | undefined): Item[] {
  const { report } = options
  if (report === undefined) return []
  const about = 'report'
  try {
    reportFile({}, { ...options, config })?.discard()
    return [{ level: 'ok', about, what: report === '-' ? 'standard output' : `${report} can be written` }]
  } catch (error) {
    return [{ about, ...failedBy(error) }]
  }
}

/** All are open at a time, as two may want the same. */
async function portItems({ healthPort, http }: CollectOptions): Promise<Item[]> {
  const items: Item[] = []
  const opened: { close(): void }[] = []
  const attempt = async (about: string, open: () => Promise<{ close(): void }>): Promise<void> => {
    try {
      opened.push(await open())
      items.push({ level: 'ok', about, what: 'the port is free' })
    } catch (error) {
      items.push({ about, ...failedBy(error) })
    }
  }
  if (healthPort !== undefined) await attempt(`--health-port ${healthPort}`, () => HealthPort.open(healthPort))
  if (http !== undefined)
    await attempt(`--http ${http.host}:${http.port}`, () => HttpServer.open(http.host, http.port, new Map()))
  for (const each of opened) each.close()
  return items
}
