import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'

const CLONE_NEWNET = 0x4000_0000

/** A network namespace that this thread, and what it starts from then on, is in; gone with the last of them. Needs root. */
export class OwnNamespace {
  readonly #before: number

  constructor() {
    this.#before = openSync('/proc/thread-self/ns/net', 'r')
    call('unshare', 'int unshare(int)', CLONE_NEWNET)
  }

  /** Back to the namespace that this thread was in. */
  leave(): void {
    call('setns', 'int setns(int, int)', this.#before, CLONE_NEWNET)
    closeSync(this.#before)
  }
}

function call(name: string, prototype: string, ...args: number[]): void {
  const result = koffi.load(null).func(prototype)(...args) as number
  if (result !== 0) throw new Error(`${name} failed: errno ${koffi.errno()}`)
}
