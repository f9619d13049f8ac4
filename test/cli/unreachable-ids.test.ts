import { expect, test } from 'vitest'
import { unreachableIds } from '../../src/cli/unreachable-ids.ts'
import { encapsulationNamed } from '../../src/wire/registry.ts'

const range = (from: number, to = from, deny = false) => ({ from, to, deny })
const listening = (...names: string[]) =>
  names.map((name) => ({ encapsulation: encapsulationNamed(name), host: undefined, port: 1 }))

test.each([
  [[range(99_999_999)], listening('vxlan', 'geneve'), /99999999: nothing will come/],
  [[range(5), range(16_777_216, 16_777_217)], listening('vxlan-gpe'), /--vni 16777216-16777217:/],
  [[range(16_777_215)], listening('vxlan'), undefined],
  [[range(1, 99_999_999)], listening('vxlan'), undefined],
  [[range(99_999_999, 99_999_999, true)], listening('vxlan'), undefined],
  [[range(99_999_999)], listening('vxlan', 'gre'), undefined],
  [[range(4_294_967_295)], listening('gre-in-udp'), undefined],
  [[range(1)], listening('tzsp'), /end at 0;/],
  [[range(0)], listening('tzsp'), undefined],
  [[range(99_999_999)], [], undefined],
])('%j of %j: %s', (wanted, listeners, said) => {
  const warning = unreachableIds(wanted, listeners)
  if (said === undefined) expect(warning).toBeUndefined()
  else expect(warning).toMatch(said)
})
