import { mkdtempSync, rmSync } from 'node:fs'
import { joinedNamespaces } from '../support/namespaces.ts'
import { atEnd } from './cleanup.ts'
import { WarmPages } from './warm-pages.ts'

/** Where a benchmark takes place: a folder in memory, so that no disk is measured, and two hosts joined by a cable. */
export interface Place {
  readonly folder: string
  /** For files in that folder. */
  readonly pages: WarmPages
  readonly receiverAddress: string
  /** The sending host's interface. */
  readonly senderDevice: string
  /** The command line that runs `argv` on the receiving host. */
  inReceiver(argv: readonly string[]): string[]
  inSender(argv: readonly string[]): string[]
}

/** Needs root, `ip` and `ethtool`; removed when the benchmark ends. */
export function makePlace(): Place {
  const folder = mkdtempSync('/dev/shm/mirror-collector-bench-')
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  const { left, right, dispose } = joinedNamespaces()
  atEnd(dispose)
  return {
    folder,
    pages: new WarmPages(folder),
    receiverAddress: right.ipv4,
    senderDevice: left.device,
    // `ip` replaces itself by the command, which so has the process id that was started.
    inReceiver: (argv) => ['ip', 'netns', 'exec', right.name, ...argv],
    inSender: (argv) => ['ip', 'netns', 'exec', left.name, ...argv],
  }
}
