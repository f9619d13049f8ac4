import { type Command, CommanderError } from 'commander'
import { expect, test } from 'vitest'
import { createProgram as collector, collectTable } from '../../src/cli/program.ts'
import { createProgram as sender } from '../../src/cli/sender-program.ts'

/** What is said of a command line that commander refuses. */
async function refusal(program: Command, args: readonly string[]): Promise<string[]> {
  let said = ''
  const writeErr = (text: string) => {
    said += text
  }
  for (const command of [program, ...program.commands]) command.configureOutput({ writeErr })
  await expect(program.parseAsync([...args], { from: 'user' })).rejects.toThrow(CommanderError)
  return said.trimEnd().split('\n')
}

const program = () => collector(() => {})
const decap = program().commands.find((command) => command.name() === 'decap')!
const notOfDecap = collectTable()
  .map(({ long }) => long!)
  .filter((flag) => decap.options.every(({ long }) => long !== flag))

test('decap has not all that collecting has', () => {
  expect(notOfDecap).toEqual(['--engine', '--interface', '--health-port', '--buffer', '--workers', '--user'])
})

test.each(notOfDecap.flatMap((flag) => [[flag, '1'], [`${flag}=1`]]))(
  'decap FILE %s is told whose it is',
  async (...words) => {
    const [what, how, ...more] = await refusal(program(), ['decap', 'a.pcap', ...words])
    expect(what).toMatch(
      new RegExp(
        `^mirror-collector: ${words[0]!.split('=')[0]} is an option of mirror-collector.* and [a-z]+, not of decap\\.$`,
      ),
    )
    expect([how, ...more]).toEqual(['See mirror-collector decap --help.'])
  },
)

test.each<[string, string, string, () => Command]>([
  ['--print', '--print is an option of check, not of mirror-collector.', 'mirror-collector --help', program],
  [
    'demo -q',
    '-q is an option of mirror-collector, decap and check, not of demo.',
    'mirror-collector demo --help',
    program,
  ],
  ['decap a.pcap --nonsense', "unknown option '--nonsense'", 'mirror-collector decap --help', program],
  ['--vni 5', '--vni is an option of plan, up, status and down, not of mirror-sender.', 'mirror-sender --help', sender],
  ['status --filter x', '--filter is an option of plan and up, not of status.', 'mirror-sender status --help', sender],
])('%s: %s', async (line, what, help, create) => {
  const created = create()
  expect(await refusal(created, line.split(' '))).toEqual([`${created.name()}: ${what}`, `See ${help}.`])
})

test('what is misspelt is told with the nearest', async () => {
  expect(await refusal(program(), ['decap', 'a.pcap', '--vnis', '5'])).toEqual([
    "mirror-collector: unknown option '--vnis'",
    '(Did you mean --vni?)',
    'See mirror-collector decap --help.',
  ])
})
