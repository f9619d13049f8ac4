import { loadKoffi } from './libc.ts'

/** One instruction of a classic BPF program, as <pcap/bpf.h> has it (struct bpf_insn). */
export interface FilterInstruction {
  /** 16 bits: class, size and mode, or class, operation and source. */
  readonly code: number
  /** Conditional jumps: instructions to pass over where the condition holds; 8 bits. */
  readonly jt: number
  /** The same where it does not hold. */
  readonly jf: number
  /** The operand, unsigned 32 bits. */
  readonly k: number
}

/** Classic BPF, as libpcap compiles it. Plain objects, so that it can be sent to another thread. */
export interface FilterProgram {
  readonly instructions: readonly FilterInstruction[]
}

/** libpcap cannot make a filter of the expression. The message has two lines: what libpcap says, and where to look. */
export class FilterExpressionError extends Error {
  override readonly name = 'FilterExpressionError'
  readonly expression: string
  /** libpcap's own words. */
  readonly reason: string

  constructor(expression: string, reason: string) {
    super(`filter "${expression}": ${reason}\nThe language is tcpdump's: see pcap-filter(7).`)
    this.expression = expression
    this.reason = reason
  }
}

/** The system has no libpcap that can be loaded. The message has two lines: what is missing, and how to get it. */
export class LibpcapMissingError extends Error {
  override readonly name = 'LibpcapMissingError'

  constructor(reason: string) {
    super(
      `filters are compiled by the system's libpcap, which cannot be loaded: ${reason}\nInstall it: apt install libpcap0.8, dnf install libpcap, or apk add libpcap.`,
    )
  }
}

interface Libpcap {
  openDead(dlt: number, snapLength: number): bigint | null
  compile(pcap: bigint, program: BigUint64Array, expression: string, optimize: number, netmask: number): number
  geterr(pcap: bigint): string
  freecode(program: BigUint64Array): void
  close(pcap: bigint): void
  /** Memory at an address, which stays valid without it; nothing is copied. */
  view(address: bigint, bytes: number): ArrayBuffer
}

/** Debian, which never renamed it, and everybody else. */
const FILE_NAMES = ['libpcap.so.1', 'libpcap.so.0.8']

/** <pcap/pcap.h>: no network mask is known, so `ip broadcast` is refused. */
const NETMASK_UNKNOWN = 0xffffffff
const OPTIMIZE = 1
/** struct bpf_insn: code, jt, jf, k. */
const INSTRUCTION_BYTES = 8
/** struct bpf_program: a 32-bit length, padding, the instructions' address. */
const PROGRAM_LENGTH = 0
const PROGRAM_ADDRESS = 1
/** The one link type whose number in files, LINKTYPE_RAW, is not the one libpcap uses inside on Linux, DLT_RAW. */
const LINKTYPE_RAW = 101
const DLT_RAW = 12

let loaded: Libpcap | undefined

/**
 * What libpcap, the system's own, makes of a pcap-filter(7) expression: a program for frames that lie in memory as in a
 * capture file, so VLAN tags are looked for in the bytes and Linux's extensions (SKF_AD_...) never appear. The empty
 * expression takes every frame. A name of a host is looked up, which can take as long as a name server does.
 *
 * @param linkType as pcap files number it: 1 is Ethernet, 101 IP without a link header
 * @param snapLength what the program returns for frames that it takes; 0 is returned for the others
 * @throws FilterExpressionError, LibpcapMissingError
 */
export function compileFilter(expression: string, linkType: number, snapLength: number): FilterProgram {
  // To C the text ends there, and what is left of it would be another filter.
  if (expression.includes('\0')) throw new FilterExpressionError(expression, 'it has a NUL character')
  loaded ??= load()
  const pcap = loaded.openDead(linkType === LINKTYPE_RAW ? DLT_RAW : linkType, snapLength)
  if (pcap === null) throw new Error('pcap_open_dead failed: out of memory')
  try {
    return compile(loaded, pcap, expression)
  } finally {
    loaded.close(pcap)
  }
}

function compile(libpcap: Libpcap, pcap: bigint, expression: string): FilterProgram {
  const program = new BigUint64Array(2)
  if (libpcap.compile(pcap, program, expression, OPTIMIZE, NETMASK_UNKNOWN) !== 0)
    throw new FilterExpressionError(expression, libpcap.geterr(pcap))
  try {
    const count = Number(BigInt.asUintN(32, program[PROGRAM_LENGTH]!))
    const view = new DataView(libpcap.view(program[PROGRAM_ADDRESS]!, count * INSTRUCTION_BYTES))
    return { instructions: Array.from({ length: count }, (_, i) => readInstruction(view, i * INSTRUCTION_BYTES)) }
  } finally {
    libpcap.freecode(program)
  }
}

function readInstruction(view: DataView, at: number): FilterInstruction {
  return {
    code: view.getUint16(at, true),
    jt: view.getUint8(at + 2),
    jf: view.getUint8(at + 3),
    k: view.getUint32(at + 4, true),
  }
}

function load(): Libpcap {
  const koffi = requireKoffi()
  let reason = ''
  for (const name of FILE_NAMES) {
    try {
      return prototypes(koffi, name)
    } catch (error) {
      reason = `${name}: ${error instanceof Error ? error.message : String(error)}`
    }
  }
  throw new LibpcapMissingError(reason)
}

/** @throws LibpcapMissingError where there are no system calls; the error of a module that is missing as it is */
function requireKoffi(): typeof import('koffi') {
  try {
    return loadKoffi()
  } catch (error) {
    if (!(error instanceof Error) || 'code' in error) throw error
    throw new LibpcapMissingError(error.message)
  }
}

function prototypes(koffi: typeof import('koffi'), name: string): Libpcap {
  const library = koffi.load(name)
  return {
    openDead: library.func('void *pcap_open_dead(int, int)'),
    compile: library.func('int pcap_compile(void *, void *, const char *, int, uint32_t)'),
    geterr: library.func('const char *pcap_geterr(void *)'),
    freecode: library.func('void pcap_freecode(void *)'),
    close: library.func('void pcap_close(void *)'),
    view: (address, bytes) => koffi.view(address, bytes),
  }
}
