import { Command, CommanderError } from 'commander'
import {
  DIRECTIONS,
  HEADER_LAYERS,
  parseMirrorOptions,
  parseSelectionOptions,
  SENDER_ENCAPSULATIONS,
} from '../config/sender-options.ts'
import { EXIT_CONFIGURATION, EXIT_USAGE, Failure, toFailureMessage } from '../config/terms/failure.ts'
import { helpAfter } from './help.ts'
import { writeToStandardError } from './logger.ts'
import { showStatus, takeDown } from './sender-down.ts'
import { readMirrorFile } from './sender-file.ts'
import { planMirror, setUpMirror } from './sender-up.ts'
import { writeStandardOutput } from './standard-output.ts'
import { version } from './version.ts'
import { tellWhoseOptions } from './whose-option.ts'

type Given = Record<string, unknown>

/** Options of a mirror that also select it; the others say how it is made. */
const SELECTING = ['interface', 'collector', 'vni', 'encapsulation', 'port', 'netns', 'pid', 'container']

/** Runs the command line. Returns the exit code; never throws for what a user can do. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    const failure = toFailureMessage(error)
    writeToStandardError(`mirror-sender: ${failure.what}\n${failure.mend}\n`)
    return failure.exitCode
  }
}

/** The command line. */
export function createProgram(): Command {
  const program = new Command('mirror-sender')
    .description(
      "Copies an interface's packets into a tunnel to a collector, with tc and a tunnel device of the kernel.",
    )
    .version(version(), '-V, --version')
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('See mirror-sender --help.')
    .configureOutput({
      writeOut: writeStandardOutput,
      writeErr: writeToStandardError,
      outputError: (text, write) => write(text.replace(/^error: /, 'mirror-sender: ')),
    })
    .addHelpText('after', helpAfter)
  const plan = program.command('plan').description('print the commands that "up" would run, and their undo')
  addMirrorOptions(plan).action((given: Given) => planMirror(merged(parseMirrorOptions, given, mirrorKeys())))
  const up = program.command('up').description('set the mirror up')
  addMirrorOptions(up).action((given: Given) => setUpMirror(merged(parseMirrorOptions, given, mirrorKeys())))
  const status = program.command('status').description('show the mirrors that are there, and what the kernel counted')
  addSelectingOptions(status)
    .option('--json', 'print one JSON object, for programs')
    .action((given: Given) => showStatus(merged(parseSelectionOptions, given, SELECTING)))
  const down = program.command('down').description('take away what "up" made')
  addSelectingOptions(down)
    .option('--all', 'take every mirror away')
    .action((given: Given) => takeDown(merged(parseSelectionOptions, given, SELECTING)))
  tellWhoseOptions(program)
  return program
}

function addMirrorOptions(command: Command): Command {
  return addSelectingOptions(command)
    .option('--direction <which>', `which way mirrored packets go: ${DIRECTIONS.join(', ')} (default both)`)
    .option('--filter <expression>', 'which packets to mirror, in the language of tcpdump (pcap-filter); default all')
    .option('--source-port <low-high>', 'range of UDP source ports, of which each flow keeps one; for vxlan')
    .option('--ttl <hops>', "time to live of the tunnel's packets")
    .option('--dscp <number>', "differentiated services code point of the tunnel's packets, 0 to 63")
    .option('--mtu <bytes>', 'MTU of the tunnel device')
    .option('--snaplen <bytes>', 'cut copies to so many bytes, 68 or more, in the kernel')
    .option('--headers <layer>', `cut copies behind the header of this layer: ${HEADER_LAYERS.join(', ')}`)
    .option('--sample <1/N>', 'send one flow in N, both directions of it together')
}

function addSelectingOptions(command: Command): Command {
  return command
    .usage('[options]')
    .option('--interface <name>', 'the interface that is mirrored')
    .option('--collector <address>', 'where the tunnel goes, IPv4 or IPv6')
    .option('--vni <number>', 'identifier of the tunnel: VNI, GRE key, ERSPAN session')
    .option('--encapsulation <name>', `kind of tunnel: ${SENDER_ENCAPSULATIONS.join(', ')} (default vxlan)`)
    .option('--port <number>', 'UDP port of the collector (default vxlan 4789, geneve 6081)')
    .option('--netns <name>', 'network namespace that the interface is in')
    .option('--pid <number>', 'process whose network namespace the interface is in')
    .option('--container <name>', 'container that the interface is in, found by docker or podman')
    .option('--config <file>', 'YAML with these options as its keys; those given here override it')
}

/** The keys that a file may have: every option of "up" but --config itself. */
export function mirrorKeys(): string[] {
  return addMirrorOptions(new Command())
    .options.map(({ long }) => long!.slice(2))
    .filter((name) => name !== 'config')
}

/** File and command line together. `taken`: the options of the file that count here. */
function merged<Options>(parse: (given: Given) => Options, given: Given, taken: readonly string[]): Options {
  const { config, ...flags } = given
  if (typeof config !== 'string') return parse(flags)
  const file = readMirrorFile(config, mirrorKeys(), taken)
  try {
    return parse({ ...file, ...flags })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new Failure(EXIT_CONFIGURATION, `${config}: ${error.message}`, error.mend)
  }
}
