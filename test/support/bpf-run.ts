import { type Libc, libc } from '../../src/dgram-extended/libc.ts'

/** <linux/bpf.h> */
const BPF_OBJ_GET = 7
const BPF_PROG_TEST_RUN = 10
const EINVAL = 22
const TEST_RUN_BYTES = 48
/** The kernel takes frames of up to a page, less the room it keeps around them. */
const MOST_BYTES = 3000

/** What the program did to a frame. */
export interface Verdict {
  /** TC_ACT_*; -1 is TC_ACT_UNSPEC. */
  readonly action: number
  readonly frame: Buffer
}

/** Opens a program by its path, as tc does. */
export function openProgram(path: string): number {
  const c = libc()
  const request = Buffer.alloc(16 + path.length + 1)
  request.writeBigUInt64LE(c.address(request) + 16n, 0)
  request.write(path, 16, 'latin1')
  const fd = c.bpf(BPF_OBJ_GET, request, 16)
  if (fd < 0) throw new Error(`BPF_OBJ_GET of ${path} failed with ${c.errno()}`)
  return fd
}

/**
 * Has the kernel run the program over a frame (BPF_PROG_TEST_RUN), of which it gets the first 3000 bytes; undefined where the kernel
 * makes no such frame: of an Ethernet header alone, or with less than a whole IP header where its EtherType announces one.
 */
export function runProgram(program: number, frame: Uint8Array): Verdict | undefined {
  const c: Libc = libc()
  const bytes = Math.min(frame.length, MOST_BYTES)
  const request = Buffer.alloc(TEST_RUN_BYTES + 2 * bytes)
  const address = c.address(request)
  request.writeUInt32LE(program, 0)
  request.writeUInt32LE(bytes, 8)
  request.writeUInt32LE(bytes, 12)
  request.writeBigUInt64LE(address + BigInt(TEST_RUN_BYTES), 16)
  request.writeBigUInt64LE(address + BigInt(TEST_RUN_BYTES + bytes), 24)
  request.set(frame.subarray(0, bytes), TEST_RUN_BYTES)
  if (c.bpf(BPF_PROG_TEST_RUN, request, TEST_RUN_BYTES) < 0) {
    if (c.errno() === EINVAL) return undefined
    throw new Error(`BPF_PROG_TEST_RUN failed with ${c.errno()}`)
  }
  const out = TEST_RUN_BYTES + bytes
  return { action: request.readInt32LE(4), frame: request.subarray(out, out + request.readUInt32LE(12)) }
}
