import { spawnSync } from 'node:child_process'

/** A netlink attribute's value: its bytes in hexadecimal, or the attributes in it. */
export type Attributes = { readonly [type: number]: string }

const NETLINK_HEADER = 16
const ATTRIBUTE_HEADER = 4
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are above it. */
const TYPE_BITS = 0x3fff

export interface Asked {
  /** The request that the tool sent to the kernel. */
  readonly message: Buffer
  readonly status: number | null
  readonly stderr: string
}

/**
 * Runs `ip` or `tc` in a network namespace of its own, behind `setup`, and catches what it asks the kernel for, whether or
 * not the kernel can do that. Undefined where it asked for nothing: it did not understand its words.
 */
export function askKernel(argv: readonly string[], setup: string): Asked | undefined {
  // A channel of its own: amid what the tool says on standard error, a message could not be read.
  const trace = 'exec strace -qq -o "|cat >&3" -e trace=sendmsg -e write=all "$@"'
  const { status, stderr, output } = spawnSync('unshare', ['--net', 'sh', '-c', `${setup}\n${trace}`, 'sh', ...argv], {
    encoding: 'utf8',
    timeout: 20_000,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  const messages = output[3]!
    .split(/^ \* \d+ bytes in buffer \d+$/m)
    .slice(1)
    .map(bytesOf)
  const message = messages.find(
    (bytes) => bytes.readUInt16LE(4) === RTM_NEWLINK || bytes.readUInt16LE(4) === RTM_NEWTFILTER,
  )
  return message === undefined ? undefined : { message, status, stderr }
}

const RTM_NEWLINK = 16
const RTM_NEWTFILTER = 44

function bytesOf(dump: string): Buffer {
  const lines = [...dump.matchAll(/^ \| [0-9a-f]+ {2}((?:[0-9a-f]{2} {1,2})+)/gm)]
  return Buffer.from(lines.map(([, hex]) => hex!.replaceAll(' ', '')).join(''), 'hex')
}

/** The attributes behind a message's fixed part, which has `fixed` bytes. */
export function attributesOf(message: Buffer, fixed: number): Attributes {
  return within(message.toString('hex', NETLINK_HEADER + fixed))
}

/** The attributes in an attribute's value. */
export function within(value: string): Attributes {
  const bytes = Buffer.from(value, 'hex')
  const found: Record<number, string> = {}
  for (let at = 0; at + ATTRIBUTE_HEADER <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (length < ATTRIBUTE_HEADER) throw new Error(`an attribute of ${length} bytes`)
    found[bytes.readUInt16LE(at + 2) & TYPE_BITS] = bytes.toString('hex', at + ATTRIBUTE_HEADER, at + length)
    at += (length + 3) & ~3
  }
  return found
}
