import type { Listener, NoticeLevel } from '../source.ts'
import { isDown, loopbackInterfaces, ringInterfaces } from './interfaces.ts'
import type { RingInterface } from './tunnel-filter.ts'

/** So often the interfaces are looked at: 0.1 ms of CPU each time. */
const EVERY_MS = 1000

/** Knows which interfaces a ring takes packets from, and tells when one goes or comes. */
export class InterfaceWatch {
  /** Those that are up. */
  interfaces: readonly RingInterface[]
  /** Those that packets are taken from: of one that is down none comes, and none is missed when it comes back before that is seen. */
  taken: readonly RingInterface[]
  /** How often an interface went away or down. */
  losses = 0
  readonly #listeners: readonly Listener[]
  readonly #named: string | undefined
  readonly #say: (text: string, level?: NoticeLevel) => void
  #looked: number = performance.now()

  constructor(
    listeners: readonly Listener[],
    named: string | undefined,
    say: (text: string, level?: NoticeLevel) => void,
  ) {
    this.#listeners = listeners
    this.#named = named
    this.#say = say
    this.interfaces = ringInterfaces(listeners, named)
    this.taken = this.interfaces
  }

  get names(): string {
    return this.interfaces.map(({ name }) => name).join(', ')
  }

  /** Whether, since the last look that said so, packets are to be taken from others. */
  changed(): boolean {
    const now = performance.now()
    if (now - this.#looked < EVERY_MS) return false
    this.#looked = now
    const before = this.interfaces
    const found = ringInterfaces(this.#listeners, this.#named)
    // An interface that is down holds no address, but loopback is still there.
    this.interfaces = found.length > 0 || this.#named !== undefined ? found : loopbackInterfaces()
    this.#tell(before)
    const waiting = this.taken
      .filter(({ index }) => !this.interfaces.some((each) => each.index === index))
      .filter(isDown)
    const taken = [...this.interfaces, ...waiting]
    const hasChanged = JSON.stringify(taken) !== JSON.stringify(this.taken)
    this.taken = taken
    return hasChanged
  }

  #tell(before: readonly RingInterface[]): void {
    for (const { name } of before) {
      if (this.interfaces.some((each) => each.name === name)) continue
      this.losses++
      this.#say(`Interface ${name} is gone or down: nothing comes from it until it is back.`)
    }
    for (const { name } of this.interfaces) {
      if (before.some((each) => each.name === name)) continue
      this.#say(`Interface ${name} is there: its packets are taken, too.`, 'info')
    }
  }
}
