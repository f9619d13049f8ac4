import { closeSync, constants, openSync } from 'node:fs'
import { EXIT_CANNOT_CREATE, EXIT_INTERRUPTED, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { compileWish } from '../pipeline/filter-wish.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { writeStandardOutput } from './standard-output.ts'
import { version } from './version.ts'

/** What Wireshark calls the interface on its command lines. */
const INTERFACE = 'mirror'

/** The command line that Wireshark calls, as extcap(4) has it; other names in it are options of collecting. */
export interface ExtcapRequest {
  readonly extcapInterfaces?: true
  readonly extcapInterface?: string
  readonly extcapDlts?: true
  readonly extcapConfig?: true
  readonly extcapCaptureFilter?: string
  readonly capture?: true
  readonly fifo?: string
  readonly [option: string]: unknown
}

interface Argument {
  readonly call: string
  readonly display: string
  readonly tooltip: string
  readonly type: 'string' | 'boolflag' | 'fileselect' | 'selector'
  readonly values?: readonly string[]
}

/** The options of collecting that Wireshark's dialogue shows. */
export const ARGUMENTS: readonly Argument[] = [
  {
    call: '--listen',
    display: 'Listen on',
    tooltip: 'where to listen, [ENCAP://][HOST]:PORT, default :4789',
    type: 'string',
  },
  {
    call: '--vni',
    display: 'Identifiers',
    tooltip: 'VNIs, keys or sessions to let in, e.g. 100,200-299,!250',
    type: 'string',
  },
  { call: '--allow-from', display: 'Senders', tooltip: 'networks that tunnels may come from', type: 'string' },
  {
    call: '--depth',
    display: 'Tunnels to take off',
    tooltip: 'how many tunnels to take off, one inside the other: a number or max',
    type: 'string',
  },
  {
    call: '--engine',
    display: 'Engine',
    tooltip: 'how packets are received; ring and gre:// need CAP_NET_RAW',
    type: 'selector',
    values: ['udp', 'ring', 'auto', 'dgram'],
  },
  {
    call: '--fix-checksums',
    display: 'Fix checksums',
    tooltip: 'complete the checksums that senders had left to their network cards',
    type: 'boolflag',
  },
  { call: '--config', display: 'Configuration', tooltip: 'a YAML file with more options', type: 'fileselect' },
]

/** `mirror-collector extcap`: an interface in Wireshark's list. Returns the exit code. */
export async function extcap(request: ExtcapRequest): Promise<number> {
  if (request.capture === true) return await capture(request)
  if (request.extcapInterfaces === true) print(interfaces())
  else if (request.extcapDlts === true) print([`dlt {number=${LINKTYPE_ETHERNET}}{name=EN10MB}{display=Ethernet}`])
  else if (request.extcapConfig === true) print(ARGUMENTS.flatMap(sentences))
  else if (request.extcapCaptureFilter !== undefined) print(objections(request.extcapCaptureFilter))
  else {
    throw new Failure(
      EXIT_USAGE,
      'extcap is for Wireshark to call.',
      'Put a file into its folder of extcap programs, as README says under "In Wireshark".',
    )
  }
  return 0
}

function interfaces(): string[] {
  return [
    `extcap {version=${version()}}{display=mirror-collector}`,
    `interface {value=${INTERFACE}}{display=Mirror collector: VXLAN, GRE, ERSPAN, Geneve taken off}`,
  ]
}

function sentences({ call, display, tooltip, type, values = [] }: Argument, number: number): string[] {
  return [
    `arg {number=${number}}{call=${call}}{display=${display}}{tooltip=${tooltip}}{type=${type}}`,
    ...values.map(
      (value, i) => `value {arg=${number}}{value=${value}}{display=${value}}${i === 0 ? '{default=true}' : ''}`,
    ),
  ]
}

/** What is wrong with a filter that is being typed; nothing, if it is right. */
function objections(filter: string): string[] {
  try {
    if (filter !== '') compileWish(filter, 'the capture filter')
    return []
  } catch (error) {
    if (error instanceof Failure) return [error.message]
    throw error
  }
}

/**
 * Collects into Wireshark's FIFO: it becomes the standard output of a collector of its own, which then behaves as in
 * `mirror-collector --out pcapng:- | wireshark -k -i -`, down to ending when its reader leaves.
 */
async function capture({ fifo, extcapCaptureFilter, ...given }: ExtcapRequest): Promise<number> {
  if (fifo === undefined) throw new Failure(EXIT_USAGE, '--capture without --fifo.', 'Wireshark gives both.')
  const filter = extcapCaptureFilter ? ['--filter', extcapCaptureFilter] : []
  const options = ['--quiet', '--out', 'pcapng:-', ...ARGUMENTS.flatMap(({ call }) => wordsOf(call, given)), ...filter]
  const output = openFifo(fifo)
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, [process.argv[1]!, ...options], { stdio: ['ignore', output, 'inherit'] })
  closeSync(output)
  const end = () => child.kill('SIGTERM')
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end)
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? EXIT_INTERRUPTED))
  })
}

/** An option as commander has it in `given`, as words again; what was left empty in the dialogue is not given. */
function wordsOf(call: string, given: Readonly<Record<string, unknown>>): string[] {
  const value = given[call.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())]
  if (value === true) return [call]
  return typeof value === 'string' && value !== '' ? [call, value] : []
}

/** Wireshark has it open before it calls: where it has not, nobody is there to wait for. Opened once: Wireshark takes a close for the end. */
function openFifo(path: string): number {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Failure(EXIT_CANNOT_CREATE, `Cannot write to --fifo: ${reason}`, 'Wireshark makes it and reads it.')
  }
}

function print(lines: readonly string[]): void {
  writeStandardOutput(lines.map((line) => `${line}\n`).join(''))
}
