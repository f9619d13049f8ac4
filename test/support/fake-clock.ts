import { execFileSync } from 'node:child_process'
import { renameSync, writeFileSync } from 'node:fs'

/** A wall clock for one process, by libfaketime; other clocks of it, and what the kernel stamps, stay the machine's. */
export class FakeClock {
  /** In front of the command: programs that become it. */
  readonly under: readonly string[]
  readonly #file: string

  /** `file`: its setting, read again at each question; or, where the answer may be a second old, `mayLag`: that costs less. */
  constructor(file: string, mayLag = false) {
    this.#file = file
    this.under = [
      'env',
      `LD_PRELOAD=${libfaketime()}`,
      `FAKETIME_TIMESTAMP_FILE=${file}`,
      mayLag ? 'FAKETIME_CACHE_DURATION=1' : 'FAKETIME_NO_CACHE=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      // Otherwise waits on a condition of the monotonic clock, which Node.js's are, return at once.
      'FAKETIME_FORCE_MONOTONIC_FIX=0',
    ]
    this.set(0)
  }

  /** So many seconds from the machine's clock. */
  set(offset: number): void {
    writeFileSync(`${this.#file}.new`, `${offset < 0 ? '' : '+'}${offset}\n`)
    renameSync(`${this.#file}.new`, this.#file)
  }
}

/** Its own command stays in front of the program as another process, so the library is loaded without it. */
function libfaketime(): string {
  return execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim()
}
