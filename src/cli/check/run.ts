import type { CollectOptions } from '../../config/schema.ts'
import { EXIT_CANNOT_CREATE } from '../../config/terms/failure.ts'
import { failed, failedBy } from '../../config/terms/finding.ts'
import { HealthPort } from '../../telemetry/health-port.ts'
import { HttpServer } from '../../telemetry/http-server.ts'
import { type Account, findAccount } from '../account.ts'
import { reportFile } from '../run-pipeline.ts'
import { accessOf, closedAt, closedFolders, sinkFolders } from '../user-folders.ts'
import type { Item } from './item.ts'

/** What a run needs beside sinks and what it listens on, in the order in which collecting comes to it. `config`: the file of options. */
export async function runItems(options: CollectOptions, config: string | undefined): Promise<Item[]> {
  const { user } = options
  try {
    const account = user && findAccount(user)
    return [...userItems(options, account), ...reportItems(options, config, account), ...(await portItems(options))]
  } catch (error) {
    return [{ about: 'user', ...failedBy(error) }, ...reportItems(options, config), ...(await portItems(options))]
  }
}

/** Once root is given up, nothing helps a sink into a folder that is not the user's. */
function userItems(options: CollectOptions, account: Account | undefined): Item[] {
  if (account === undefined) return []
  const about = 'user'
  const { user } = options.user!
  const closed = closedFolders(sinkFolders(options), user, accessOf(account))
  return [
    { level: 'ok', about, what: `--user ${user} is user ${account.uid}, group ${account.gid}` },
    ...closed.map((folder): Item => ({ level: 'warn', about, ...folder })),
  ]
}

function reportItems(options: CollectOptions, config: string | undefined, account?: Account): Item[] {
  const { report } = options
  if (report === undefined) return []
  const about = 'report'
  try {
    const file = reportFile({}, { ...options, config })
    file?.discard()
    const { folder } = file ?? {}
    if (account !== undefined && folder !== undefined && closedAt(folder, accessOf(account)) !== undefined) {
      const mend = `Let user ${options.user!.user} write to ${folder}.`
      return [{ about, ...failed(EXIT_CANNOT_CREATE, `${report} cannot be made: permission denied`, mend) }]
    }
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
