import { closeSync, constants, fchownSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { EXIT_NO_PERMISSION, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { outputOf } from '../config/terms/output-of.ts'
import type { UserWish } from '../config/user.ts'

const STANDARD_ERROR = 2
/** O_WRONLY and O_RDWR in the octal flags of /proc/PID/fdinfo. */
const WRITING = 0o3

/** A user of this machine, by numbers. */
export interface Account {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

/** Whom `--user` names. Throws Failure when there is nobody of that name, or this process may not become somebody else. */
export function findAccount({ user, group }: UserWish): Account {
  if (process.geteuid?.() !== 0) {
    throw new Failure(
      EXIT_NO_PERMISSION,
      `--user ${user}: only root can become somebody else.`,
      'Start it as root, or as that user and without --user.',
    )
  }
  const [uid] = ask(user, ['id', '-u', '--', user])
  const [gid] = group === undefined ? ask(user, ['id', '-g', '--', user]) : [groupId(group)]
  return { uid: uid!, gid: gid!, groups: group === undefined ? ask(user, ['id', '-G', '--', user]) : [gid!] }
}

/**
 * Gives up root for good, on all threads: the C library hands setuid() and its like on to each. Files that this process
 * has made by now become the account's, with the folders that it has made for them. `before`: what writableFiles() was at the start.
 */
export function become(account: Account, before: ReadonlySet<string>): void {
  const { uid, gid, groups } = account
  for (const [fd, identity] of writableFiles()) {
    if (before.has(identity)) continue
    handFoldersTo(account, fd)
    fchownSync(fd, uid, gid)
  }
  process.setgroups!([...groups])
  process.setgid!(gid)
  process.setuid!(uid)
}

/** Of the folders that lead to an open file, the last ones, while they are root's and younger than this process. */
function handFoldersTo(account: Account, file: number): void {
  try {
    let path = dirname(readlinkSync(`/proc/self/fd/${file}`))
    while (handTo(account, path)) path = dirname(path)
  } catch {
    // It has gone meanwhile, or was closed by another thread.
  }
}

/** False where the folder is another's. */
function handTo({ uid, gid }: Account, path: string): boolean {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    const { uid: owner, birthtimeMs } = fstatSync(folder)
    const isOurs = owner === 0 && birthtimeMs >= performance.timeOrigin && dirname(path) !== path
    if (isOurs) fchownSync(folder, uid, gid)
    return isOurs
  } finally {
    closeSync(folder)
  }
}

/** Regular files open for writing, standard streams aside: descriptor, and device and inode. */
export function writableFiles(): Map<number, string> {
  const files = new Map<number, string>()
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    const identity = fd > STANDARD_ERROR ? identityOf(fd) : undefined
    if (identity !== undefined) files.set(fd, identity)
  }
  return files
}

function identityOf(fd: number): string | undefined {
  try {
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8)
    const status = fstatSync(fd)
    return status.isFile() && (flags & WRITING) !== 0 ? `${status.dev}:${status.ino}` : undefined
  } catch {
    // The descriptor that the folder itself was read by, or one that another thread closed meanwhile.
    return undefined
  }
}

/** Asks `id`, and `getent` for groups, as both may come from a directory and not from files. */
function ask(name: string, [command, ...args]: readonly string[]): number[] {
  try {
    return outputOf(command!, ...args)
      .trim()
      .split(' ')
      .map(Number)
  } catch {
    throw new Failure(EXIT_USAGE, `--user: there is no user ${name}.`, 'Give a user that `id` knows.')
  }
}

function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group)
  try {
    return Number(outputOf('getent', 'group', group).split(':')[2])
  } catch {
    throw new Failure(EXIT_USAGE, `--user: there is no group ${group}.`, 'Give a group that `getent group` knows.')
  }
}
