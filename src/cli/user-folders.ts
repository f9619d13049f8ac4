import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute } from 'node:path'
import { sinkType } from '../sinks/registry.ts'
import type { Account } from './account.ts'
import type { SinkOptions } from './sink-wishes.ts'

/** Whether somebody may do to a path what bits of access(2) name. */
export type Access = (path: string, wanted: number) => boolean

/** A folder that somebody may not make files in: what that means, and how to mend it. */
export interface ClosedFolder {
  readonly what: string
  readonly mend: string
}

/** Where sinks make files and folders while they run; of one that is not there yet, the one that it will be made in. */
export function sinkFolders({ out, quarantine }: SinkOptions): string[] {
  const sinks = quarantine === undefined ? out : [...out, quarantine]
  const folders = sinks.flatMap(({ type, options }) => sinkType(type).folders?.(options) ?? []).map(nearestThere)
  return [...new Set(folders)]
}

/** What this process may do. */
export const ownAccess: Access = (path, wanted) => {
  try {
    accessSync(path, wanted)
    return true
  } catch {
    return false
  }
}

/** What an account will be allowed, which has none of root's capabilities: by owner, group and mode, as ACLs cannot be read here. */
export function accessOf({ uid, gid, groups }: Account): Access {
  return (path, wanted) => {
    if (uid === 0) return true
    const status = statSync(path)
    const isOfGroup = status.gid === gid || groups.includes(status.gid)
    const shift = status.uid === uid ? 6 : isOfGroup ? 3 : 0
    return ((status.mode >> shift) & wanted) === wanted
  }
}

export function closedFolders(folders: readonly string[], user: string, may: Access): ClosedFolder[] {
  return folders.flatMap((folder) => {
    const closed = closedAt(folder, may)
    if (closed === undefined) return []
    const what = `--user ${user}: ${folder} is closed to that user, and frames for files that are begun later, as by rotation or SIGHUP, are lost`
    const command = closed === folder ? `chown ${user} ${folder}` : `chmod o+x ${closed}`
    return [{ what, mend: `Let that user make files there (${command}), or name another folder.` }]
  })
}

/** The first folder on the way that is closed to somebody who wants to make files at its end. */
export function closedAt(folder: string, may: Access): string | undefined {
  return wayTo(folder).find((path) => !may(path, path === folder ? constants.W_OK | constants.X_OK : constants.X_OK))
}

/** The path itself last. One that is relative begins where this process is, whatever is above. */
function wayTo(path: string): string[] {
  const above = dirname(path)
  return above === path ? [path] : [...wayTo(above), path]
}

function nearestThere(folder: string): string {
  if (existsSync(folder) || dirname(folder) === folder) return isAbsolute(folder) ? realpathSync(folder) : folder
  return nearestThere(dirname(folder))
}
