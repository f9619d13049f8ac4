import * as bpf from './bpf-layout.ts'
import { closeDescriptor, libc } from './libc.ts'
import { SyscallError } from './syscall-error.ts'

/** The kernel lets programs under any licence call the helpers that are not "GPL only". */
const LICENSE = 'Apache-2.0'
const INSTRUCTION_BYTES = 8
const LOG_BYTES = 1 << 16
const NAME = /^[A-Za-z0-9_.]+$/
const FILE_NAME = 'program'

/**
 * An eBPF program for tc's `bpf` classifier, loaded into the kernel, under a path that other programs can open: `tc filter add ... bpf
 * direct-action object-pinned PATH`.
 *
 * The path leads into a bpf file system that belongs to this object and is mounted nowhere, so it can be reached through /proc from
 * every mount and network namespace, and nothing is left to remove: once tc holds the program, close() takes away the path alone.
 */
export class BpfProgram {
  /** Valid until close(), for processes that may look into this one's /proc. */
  readonly path: string
  #descriptors: readonly number[]

  private constructor(path: string, descriptors: readonly number[]) {
    this.path = path
    this.#descriptors = descriptors
  }

  /**
   * Loads a program of type BPF_PROG_TYPE_SCHED_CLS. `name` (up to 15 letters, digits, `_`, `.`) is what `tc filter show` and bpftool print.
   * @throws SyscallError; its message ends with what the kernel's verifier said of a program it refused
   */
  static load(name: string, instructions: Uint8Array): BpfProgram {
    if (!NAME.test(name) || name.length >= bpf.BPF_OBJ_NAME_LEN)
      throw new RangeError(`"${name}" cannot name a program\nUse up to 15 letters, digits, _ and dots.`)
    const program = loadProgram(name, instructions)
    try {
      const files = detachedFiles()
      try {
        const path = `/proc/${process.pid}/fd/${files}/${FILE_NAME}`
        pin(program, path)
        return new BpfProgram(path, [files, program])
      } catch (error) {
        closeDescriptor(files)
        throw error
      }
    } catch (error) {
      closeDescriptor(program)
      throw error
    }
  }

  /** Closes the path. The program lives on where tc has attached it. May be called again. */
  close(): void {
    const descriptors = this.#descriptors
    this.#descriptors = []
    for (const fd of descriptors) closeDescriptor(fd)
  }
}

/** @returns the program's descriptor; the kernel closes it on exec, as it does all descriptors of bpf(2) */
function loadProgram(name: string, instructions: Uint8Array): number {
  const c = libc()
  // Without its log first: the kernel fails with ENOSPC where a log does not fit, also for a program that it would take.
  const quiet = loadRequest(name, instructions, 0)
  const fd = c.bpf(bpf.BPF_PROG_LOAD, quiet, bpf.BPF_ATTR_PROG_LOAD_BYTES)
  if (fd >= 0) return fd
  const error = c.errno()
  const request = loadRequest(name, instructions, LOG_BYTES)
  const second = c.bpf(bpf.BPF_PROG_LOAD, request, bpf.BPF_ATTR_PROG_LOAD_BYTES)
  if (second >= 0) return second
  throw new SyscallError('bpf', error, `program ${name}${verifierLog(request)}`)
}

/** union bpf_attr and all that it points at in one piece of memory, which the call keeps alive. The log is its end. */
function loadRequest(name: string, instructions: Uint8Array, logBytes: number): Uint8Array {
  const instructionsAt = bpf.BPF_ATTR_PROG_LOAD_BYTES
  const licenseAt = instructionsAt + instructions.length
  const logAt = licenseAt + LICENSE.length + 1
  const request = Buffer.alloc(logAt + logBytes)
  const address = libc().address(request)
  request.writeUInt32LE(bpf.BPF_PROG_TYPE_SCHED_CLS, bpf.BPF_ATTR_PROG_TYPE)
  request.writeUInt32LE(instructions.length / INSTRUCTION_BYTES, bpf.BPF_ATTR_INSN_CNT)
  request.writeBigUInt64LE(address + BigInt(instructionsAt), bpf.BPF_ATTR_INSNS)
  request.writeBigUInt64LE(address + BigInt(licenseAt), bpf.BPF_ATTR_LICENSE)
  request.write(name, bpf.BPF_ATTR_PROG_NAME, 'latin1')
  request.set(instructions, instructionsAt)
  request.write(LICENSE, licenseAt, 'latin1')
  if (logBytes > 0) {
    request.writeUInt32LE(1, bpf.BPF_ATTR_LOG_LEVEL)
    request.writeUInt32LE(logBytes, bpf.BPF_ATTR_LOG_SIZE)
    request.writeBigUInt64LE(address + BigInt(logAt), bpf.BPF_ATTR_LOG_BUF)
  }
  return request
}

/** The last lines, where the verifier gives its reason. */
function verifierLog(request: Uint8Array): string {
  const text = Buffer.from(request.slice(-LOG_BYTES)).toString('latin1').split('\0')[0]!.trimEnd()
  return text === '' ? '' : `; the verifier: ${text.split('\n').slice(-4).join(' | ')}`
}

/** A new bpf file system that is mounted nowhere. @returns the descriptor of its root */
function detachedFiles(): number {
  const c = libc()
  const context = c.fsopen(Buffer.from('bpf\0'), bpf.FSOPEN_CLOEXEC)
  if (context < 0) throw new SyscallError('fsopen', c.errno(), 'bpf file system')
  try {
    if (c.fsconfig(context, bpf.FSCONFIG_CMD_CREATE, null, null, 0) < 0)
      throw new SyscallError('fsconfig', c.errno(), 'bpf file system')
    const files = c.fsmount(context, bpf.FSMOUNT_CLOEXEC, 0)
    if (files < 0) throw new SyscallError('fsmount', c.errno(), 'bpf file system')
    return files
  } finally {
    closeDescriptor(context)
  }
}

function pin(program: number, path: string): void {
  const c = libc()
  const request = Buffer.alloc(bpf.BPF_ATTR_OBJ_PIN_BYTES + path.length + 1)
  const pathname = c.address(request) + BigInt(bpf.BPF_ATTR_OBJ_PIN_BYTES)
  request.writeBigUInt64LE(pathname, bpf.BPF_ATTR_PATHNAME)
  request.writeUInt32LE(program, bpf.BPF_ATTR_BPF_FD)
  request.write(path, bpf.BPF_ATTR_OBJ_PIN_BYTES, 'latin1')
  if (c.bpf(bpf.BPF_OBJ_PIN, request, bpf.BPF_ATTR_OBJ_PIN_BYTES) < 0) throw new SyscallError('bpf', c.errno(), path)
}
