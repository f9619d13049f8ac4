import { Command, CommanderError, Option } from 'commander'
import {
  type CollectOptions,
  collectOptions,
  decapOptions,
  FCS_CHOICES,
  HEADER_LAYERS,
  IP_FRAMES,
  LOG_LEVELS,
  parseOptions,
  TIMESTAMPS,
} from '../config/schema.ts'
import { EXIT_USAGE, Failure, toFailureMessage } from '../config/terms/failure.ts'
import { nearestHint } from '../config/terms/nearest.ts'
import { SINKS } from '../sinks/registry.ts'
import { collect } from './collect.ts'
import { decap } from './decap.ts'
import { ARGUMENTS, type ExtcapRequest, extcap } from './extcap.ts'
import { helpAfter } from './help.ts'
import { writeToStandardError } from './logger.ts'
import type { Given } from './option-file.ts'
import { refuseEmpty } from './reload.ts'
import { readSettings, type Settings } from './settings.ts'
import { writeStandardOutput } from './standard-output.ts'
import { version } from './version.ts'
import { tellWhoseOptions } from './whose-option.ts'

/** Runs the command line. Returns the exit code; never throws for what a user can do. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = createProgram((code) => {
    exitCode = code
  })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
    const failure = toFailureMessage(error)
    writeToStandardError(`mirror-collector: ${failure.what}\n${failure.mend}\n`)
    return failure.exitCode
  }
}

/** Commands that most starts do not need are loaded when they are given: `check`, `demo`, with all that they import. */
export function createProgram(exit: (code: number) => void): Command {
  const program = new Command('mirror-collector')
    .description('Receives mirrored traffic in tunnels, takes the tunnels off, and accounts for every frame.')
    .version(version(), '-V, --version')
    .usage('[--listen [ENCAP://][HOST]:PORT]... [--out SINK]... [options]')
    .exitOverride()
    .allowExcessArguments(false)
    .enablePositionalOptions()
    // Of itself commander has it only where a program does nothing without a command.
    .helpCommand(true)
    .showHelpAfterError('See mirror-collector --help.')
    .configureOutput({
      writeOut: writeStandardOutput,
      writeErr: writeToStandardError,
      outputError: (text, write) => write(text.replace(/^error: /, 'mirror-collector: ')),
    })
    .argument('[command...]')
    .action(async ([word]: string[], flags: Given) => {
      if (word !== undefined) refuseCommand(program, word)
      const settings = settingsOf(program, flags)
      const { file } = settings
      const read = () => {
        if (file !== undefined) refuseEmpty(file)
        return collectOptionsOf(settingsOf(program, flags))
      }
      exit(await collect(collectOptionsOf(settings), settings, file === undefined ? undefined : read))
    })
  addCollectOptions(program).addHelpText('after', helpAfter)
  addDecap(program, exit)
  addCheck(program, exit)
  addExtcap(program, exit)
  program
    .command('demo')
    .description('the whole system on this machine, in network namespaces: mirror, traffic, frame by frame')
    .addHelpText('after', helpAfter)
    .action(async () => {
      refuseMisplaced('demo', program.opts())
      const { demo } = await import('./demo.ts')
      exit(await demo())
    })
  tellWhoseOptions(program)
  return program
}

/** A word in front of all options that is none of the commands: a mistyped one's file and options are not looked at. */
function refuseCommand(program: Command, word: string): never {
  const names = [...program.commands.map((command) => command.name()), 'help']
  const mend = `There are: ${names.join(', ')}; without one it collects. See mirror-collector --help.`
  throw new Failure(EXIT_USAGE, `There is no command "${word}"${nearestHint(word, names)}.`, mend)
}

function addDecap(program: Command, exit: (code: number) => void): void {
  const offline = program
    .command('decap')
    .description('take the tunnels off in a capture file: the same pipeline, offline')
    .argument('<file>', 'pcap or pcapng, also gzip; - is standard input')
    .usage('FILE|- [--out SINK]... [options]')
    .option('--listen <address>', 'ENCAP://:PORT for tunnels on other ports, again for more', collectValues)
    .action(async (file: string, flags: Given) => {
      refuseMisplaced('decap', program.opts())
      const settings = settingsOf(offline, flags)
      const options = parseOptions(decapOptions, { ...withDefaultOut(settings.given), file }, settings)
      exit(await decap(options, settings))
    })
  addPipelineOptions(offline).addHelpText('after', helpAfter)
}

function addCheck(program: Command, exit: (code: number) => void): void {
  const checking = program
    .command('check')
    .description('the configuration and this machine: what will work, what will not, how to mend it')
    .usage('[options as for collecting]')
    .option('--print', 'show the resulting configuration, as a file for --config, and nothing else')
    .option('--json', 'the findings, with --print the configuration, as one JSON object')
    .action(async (flags: Given) => {
      refuseMisplaced('check', program.opts())
      const { print, json, ...rest } = flags
      const settings = settingsOf(checking, rest)
      const options = collectOptionsOf(settings)
      if (print === true) {
        const { printSettings } = await import('./print-settings.ts')
        return printSettings(settings, collectTable(), json === true)
      }
      const { check } = await import('./check.ts')
      exit(await check(options, settings, json === true))
    })
  addCollectOptions(checking).addHelpText('after', helpAfter)
}

/** Newer Wiresharks may ask for more: what we do not know is passed over. */
function addExtcap(program: Command, exit: (code: number) => void): void {
  const asked = program
    .command('extcap')
    .description('for Wireshark, which lists the collector among its interfaces')
    .addHelpText('after', helpAfter)
    .usage('--extcap-interfaces | --extcap-interface NAME ...')
    .allowUnknownOption()
    .allowExcessArguments()
    .option('--extcap-interfaces', 'list interfaces')
    .option('--extcap-version [version]', 'version of the Wireshark that asks')
    .option('--extcap-interface <name>', 'interface that the other options ask about')
    .option('--extcap-dlts', 'list link types')
    .option('--extcap-config', 'list options')
    .option('--extcap-capture-filter <expression>', 'what to capture; without --capture, say what is wrong with it')
    .option('--capture', 'write frames to the FIFO of --fifo')
    .option('--fifo <path>', 'FIFO that --capture writes to; Wireshark makes it')
    .action(async (request: ExtcapRequest) => {
      refuseMisplaced('extcap', program.opts())
      exit(await extcap(request))
    })
  for (const { call, tooltip, type } of ARGUMENTS) asked.option(type === 'boolflag' ? call : `${call} <value>`, tooltip)
}

/** Every option of collecting: a file may have them all, whatever command reads it. */
export function collectTable(): readonly Option[] {
  return addCollectOptions(new Command()).options
}

function settingsOf(command: Command, flags: Given): Settings {
  return readSettings({ options: command.options, fileOptions: collectTable(), flags, environment: process.env })
}

function collectOptionsOf(settings: Settings): CollectOptions {
  return parseOptions(collectOptions, withDefaultOut(settings.given), settings)
}

function addCollectOptions(command: Command): Command {
  command
    .option(
      '--listen <address>',
      '[ENCAP://][HOST]:PORT, again for more (default :4789, both address families); ENCAP is one of those below; or kafka:HOST:PORT/TOPIC?group=NAME',
      collectValues,
    )
    .addOption(
      new Option('--engine <name>', 'how packets are received (default udp)').choices(['udp', 'ring', 'auto', 'dgram']),
    )
    .option('--interface <name>', 'where a ring takes packets from (default: what holds the addresses listened on)')
    .option('--health-port <port>', "a TCP port that accepts and closes, for load balancers' health checks")
    .option('--buffer <size>', 'receive buffer of each socket, or size of the ring (default 64MiB)')
    .option('--workers <number>', 'threads that share the packets, flow by flow (default 1)')
    .option('--user <name[:group]>', 'started as root: whom to be once sockets, devices and files are open')
  return addPipelineOptions(command)
}

function addPipelineOptions(command: Command): Command {
  return command
    .option(
      '--out <sink>',
      'where frames go, again for more (default pcap: ./mirror-%Y%m%d-%H%M%S.pcap); see Sinks below',
      collectValues,
    )
    .option('--vni <list>', 'tunnel identifiers to let in, e.g. 100,200-299,!250 (default all)')
    .option('--allow-from <list>', 'networks that tunnels may come from, e.g. 10.0.0.0/8,2001:db8::/32 (default all)')
    .option('--strict', 'refuse reserved bits that the RFCs tell receivers to ignore')
    .addOption(
      new Option('--gre-key-mode <mode>', "what a GRE key is: all of it, or NVGRE's VSID (default key)").choices([
        'key',
        'vsid',
      ]),
    )
    .option(
      '--depth <number>',
      'take off so many tunnels, one inside the other; max: all (default 1, and VXLAN in Geneve)',
    )
    .option('--filter <expression>', "frames to keep, in tcpdump's language, e.g. 'tcp port 443' (default all)")
    .option('--sample <part>', 'keep one flow of so many, both its directions, e.g. 1/100 (default all)')
    .option('--dedup <time>', 'keep one of the copies of a frame that come within this time, e.g. 50ms (default all)')
    .option('--snaplen <bytes>', 'keep so many bytes of each frame (default 262144: all)')
    .addOption(
      new Option(
        '--timestamps <whose>',
        'time of frames: of their arrival, or of their mirror where its header has it, ERSPAN III (default arrival)',
      ).choices([...TIMESTAMPS]),
    )
    .addOption(
      new Option(
        '--ip-frames <form>',
        'IP packets that were mirrored without Ethernet get a header, or stay as they are (default ethernet)',
      ).choices([...IP_FRAMES]),
    )
    .option(
      '--ethernet-source <mac>',
      'source address in the Ethernet header that mirrored IP packets without one get (default zeroes)',
    )
    .option(
      '--ethernet-destination <mac>',
      'destination address in the Ethernet header that mirrored IP packets without one get (default zeroes)',
    )
    .addOption(
      new Option(
        '--fcs <what>',
        'frame check sequences behind mirrored frames: keep, cut off where they fit, cut off always (default keep)',
      ).choices([...FCS_CHOICES]),
    )
    .addOption(
      new Option('--headers <layer>', "keep headers only: up to the link's, network's or transport's").choices([
        ...HEADER_LAYERS,
      ]),
    )
    .option('--fix-checksums', 'complete the checksums that senders had left to their network cards')
    .option('--count <frames>', 'stop after so many frames')
    .option('--duration <time>', 'stop after so long, e.g. 60s')
    .option('--quarantine <file>', 'keep refused packets in a pcapng file, each with the reason as its comment')
    .option('--stats <time>', 'log statistics so often, e.g. 10s')
    .option(
      '--http <address>',
      '[HOST:]PORT of the live page, /metrics, /report, /healthz, /readyz (default HOST 127.0.0.1)',
    )
    .option('--report <file>', 'write the accounting as one JSON object at the end; - is standard output')
    .addOption(
      new Option('--log-level <level>', 'least severe messages to log (default info)').choices([...LOG_LEVELS]),
    )
    .option(
      '--config <file>',
      'YAML with these options as its keys; the environment, then the command line override it',
    )
    .option('-q, --quiet', 'warnings and errors only, no closing lines')
}

/** Commander gives options in front of a command to the program, where decap would never see them. */
function refuseMisplaced(command: string, options: Given): void {
  const names = Object.keys(options)
  if (names.length === 0) return
  throw new Failure(
    EXIT_USAGE,
    `Options in front of ${command} are not for it: ${names.join(', ')}.`,
    `Put them behind: mirror-collector ${command} ${command === 'decap' ? 'FILE ' : ''}[options].`,
  )
}

/** Without a sink, pcap: what tcpdump's users expect of a capture. */
function withDefaultOut(given: Given): Given {
  return { ...given, out: given.out ?? [SINKS[0]!.type] }
}

function collectValues(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value]
}
