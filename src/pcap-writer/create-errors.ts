import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { CannotCreateError, errorCode } from './errors.ts'

/** Throws a {@link CannotCreateError} if files cannot be created in the folder. */
export function checkFolder(folder: string): void {
  try {
    accessSync(`${folder}/.`, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw cannotCreate(`files in ${folder}`, error, folder)
  }
}

/** Says in a user's words why a file could not be created. `folder`: by default that of the path that the system names, where fields are filled in. */
export function cannotCreate(
  path: string,
  error: unknown,
  folder: string = dirname((error as NodeJS.ErrnoException).path ?? path),
): CannotCreateError {
  const [what, mend] = explain(errorCode(error), folder)
  return new CannotCreateError(path, what ?? (error instanceof Error ? error.message : `${error}`), mend, error)
}

function explain(code: string, folder: string): [string | undefined, string] {
  switch (code) {
    case 'EEXIST':
      return ['it exists, and files are never overwritten', 'Remove it, or put the time into the name: %Y%m%d-%H%M%S.']
    case 'ENOENT':
      // Of a folder that is there the kernel says the same where it takes no files, as /proc.
      return existsSync(folder) ? [`the folder ${folder} takes no files`, 'Choose another folder.'] : missing(folder)
    case 'ENOTDIR':
      return [`${nearestThere(folder)} is no folder`, 'Choose a path below one.']
    case 'EACCES':
    case 'EPERM':
      return [
        'permission denied',
        `Let the user that runs this program write to ${folder === '.' ? 'this folder' : folder}.`,
      ]
    case 'EROFS':
      return ['the file system is read-only', 'Choose a path on another one.']
    case 'ENOSPC':
    case 'EDQUOT':
      return ['no room is left on the disk', 'Make room, or choose a path on another disk.']
    case 'ENAMETOOLONG':
      return ['its name is too long', 'Choose a shorter one.']
    case 'ENXIO':
      return ['nobody reads it', 'Start its reader first.']
    default:
      return [undefined, 'Choose another path.']
  }
}

function missing(folder: string): [string, string] {
  return [`the folder ${folder} does not exist`, `Create it: mkdir -p ${folder}`]
}

function nearestThere(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestThere(dirname(path))
}
