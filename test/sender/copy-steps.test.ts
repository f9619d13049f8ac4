import { expect, test } from 'vitest'
import type { CopyWish } from '../../src/sender/copy-program.ts'
import type { Kernel } from '../../src/sender/kernel.ts'
import type { MirrorWish } from '../../src/sender/mirror.ts'
import { neededMtu } from '../../src/sender/mtu.ts'
import { planUp } from '../../src/sender/plan.ts'
import { refuse } from '../../src/sender/refuse.ts'
import type { Link, State } from '../../src/sender/state.ts'
import { PROGRAM_PATH } from '../../src/sender/step.ts'

const NONE = { alias: '', lower: undefined, master: undefined, id: undefined, port: undefined, remote: undefined }
const SENT = { packets: 0, bytes: 0, errors: 0, dropped: 0 }
const ETH0: Link = {
  ...NONE,
  index: 2,
  name: 'eth0',
  isUp: true,
  mtu: 1500,
  type: 'ether',
  kind: '',
  mac: '',
  sent: SENT,
}
const EMPTY: State = {
  links: [ETH0],
  hooks: new Map(),
  tunnels: [],
  leftovers: [],
  mirrors: [],
  stranded: [],
  foreign: [],
}

function wish(copies: CopyWish): MirrorWish {
  const tunnel = { encapsulation: 'vxlan', collector: '10.0.0.2', port: 4789, vni: 100, copies } as const
  return { interface: 'eth0', directions: ['ingress', 'egress'], tunnel, filter: undefined }
}

test('the program is attached to the tunnel before the tunnel is up, and goes with it', () => {
  const steps = planUp(wish({ snaplen: 96 }), EMPTY, 'bpf')
  const at = steps.findIndex(({ program }) => program !== undefined)
  expect(steps[at]).toMatchObject({ undo: undefined, program: { name: 'c96' } })
  expect(steps[at]!.argv).toContain(PROGRAM_PATH)
  expect(steps.findIndex(({ argv }) => argv.at(-1) === 'up')).toBe(at + 1)
  expect(steps.flatMap(({ undo = [] }) => undo)).not.toContain(PROGRAM_PATH)
})

test.each([{}, { sample: 1 }])('where nothing is wished, nothing is loaded: %o', (copies) => {
  expect(planUp(wish(copies), EMPTY, 'bpf').some(({ program }) => program !== undefined)).toBe(false)
})

test.each([
  [{}, 1550],
  [{ sample: 10 }, 1550],
  [{ snaplen: 1000 }, 1036],
  // What the kernel may keep is 192 bytes.
  [{ snaplen: 96 }, 228],
  [{ headers: 'l3' }, 228],
  [{ snaplen: 9000 }, 1550],
] as const)('copies that are cut need no larger MTU than they have: %o', (copies, mtu) => {
  expect(neededMtu(wish(copies), EMPTY)).toBe(mtu)
})

test('a kernel without the bpf classifier cannot cut, and the refusal says so', () => {
  const kernel: Kernel = { classifiers: ['u32'], deviceTrouble: undefined }
  const route = { device: 'eth1', isLocal: false, mtu: undefined }
  const around = { state: EMPTY, kernel, route, addressed: new Set<string>() }
  expect(() => refuse(wish({ headers: 'l4' }), around)).toThrow('no bpf classifier, which --filter, --snaplen')
  expect(() => refuse(wish({}), around)).not.toThrow()
})
