import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A pipe between two processes: give its ends to them as standard streams, then close them here. */
export interface Pipe {
  readonly readEnd: number
  readonly writeEnd: number
  /** Closes this process's ends. */
  close(): void
}

/** As a shell makes one. Node's own `pipe` is a pair of sockets, which behave differently when full. */
export function makePipe(): Pipe {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-'))
  try {
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', [path])
    // Open for both, so that the other two need not wait for each other.
    const both = openSync(path, constants.O_RDWR)
    const readEnd = openSync(path, constants.O_RDONLY)
    const writeEnd = openSync(path, constants.O_WRONLY)
    closeSync(both)
    return {
      readEnd,
      writeEnd,
      close: () => {
        closeSync(readEnd)
        closeSync(writeEnd)
      },
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
