import { expect } from 'vitest'
import { EXIT_UNAVAILABLE } from '../../src/config/terms/failure.ts'
import { applySteps } from '../../src/sender/apply.ts'
import { netnsPlace } from '../../src/sender/commands.ts'
import { PROGRAM_PATH, type Step } from '../../src/sender/step.ts'
import { joinedNamespaces } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'

requires(
  'root',
  'namespaces',
  'ip',
  'tc',
  'ethtool',
)('a program that the kernel refuses undoes what was done, and the kernel says why', async () => {
  const { left, dispose } = joinedNamespaces()
  try {
    const before = left.exec(['tc', 'qdisc', 'show'])
    const filter = ['tc', 'filter', 'add', 'dev', left.device, 'egress', 'bpf', 'direct-action']
    const steps: Step[] = [
      {
        argv: ['tc', 'qdisc', 'add', 'dev', left.device, 'clsact'],
        undo: ['tc', 'qdisc', 'del', 'dev', left.device, 'clsact'],
      },
      {
        argv: [...filter, 'object-pinned', PROGRAM_PATH],
        undo: undefined,
        // exit, with nothing in R0 to return.
        program: { name: 'bad', instructions: Uint8Array.of(0x95, 0, 0, 0, 0, 0, 0, 0) },
      },
    ]
    const failure = applySteps(steps, netnsPlace(left.name), new AbortController().signal)
    await expect(failure).rejects.toMatchObject({
      exitCode: EXIT_UNAVAILABLE,
      message: expect.stringMatching(/^The eBPF program cannot be loaded: .*R0 !read_ok.* All has been undone\.$/),
    })
    expect(left.exec(['tc', 'qdisc', 'show'])).toBe(before)
  } finally {
    dispose()
  }
})
