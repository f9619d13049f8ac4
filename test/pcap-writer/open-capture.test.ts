import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { GzipFeed } from '../../src/pcap-writer/byte-feed-gzip.ts'
import { CaptureOpenError, openCapture } from '../../src/pcap-writer/open-capture.ts'
import { GOLDEN } from '../support/oracle.ts'
import { memoryFeed, readAll } from '../support/read-all.ts'
import { requires } from '../support/requirements.ts'
import { output } from '../support/tshark.ts'

const folder = mkdtempSync(join(tmpdir(), 'byte-feed-'))
afterAll(() => rmSync(folder, { recursive: true }))

const SOURCE = `${GOLDEN}kernel-ipv4.pcap`
const BYTES = readFileSync(SOURCE)
const whole = await readAll(openCapture(SOURCE))

function save(name: string, bytes: Uint8Array): string {
  const file = join(folder, name)
  writeFileSync(file, bytes)
  return file
}

function gzip(bytes: Uint8Array): Buffer {
  return execFileSync('gzip', ['-c'], { input: bytes })
}

describe('gzip', () => {
  const it = requires('gzip')

  it('is taken off whatever the file is called', async () => {
    expect(await readAll(openCapture(save('a.pcap', gzip(BYTES))))).toEqual(whole)
  })

  it('of several members is one stream, wherever it is divided', async () => {
    for (let at = 1; at < BYTES.length; at += 97) {
      const members = [BYTES.subarray(0, at), Buffer.alloc(0), BYTES.subarray(at)].map(gzip)
      expect(await readAll(openCapture(save('members', Buffer.concat(members))))).toEqual(whole)
    }
  })

  it('of a member whose end is the end of a chunk goes on with the next member', async () => {
    // gzip's FNAME field (RFC 1952 section 2.3) makes the first member exactly as long as one read of the feed.
    const first = gzip(BYTES.subarray(0, 500))
    const padded = Buffer.concat([
      first.subarray(0, 10),
      Buffer.alloc(16_384 - first.length - 1, 0x61),
      Buffer.alloc(1),
      first.subarray(10),
    ])
    padded[3] = 0x08
    expect(padded.length).toBe(16_384)
    const file = save('boundary', Buffer.concat([padded, gzip(BYTES.subarray(500))]))
    expect(execFileSync('gzip', ['-dc'], { input: readFileSync(file) })).toEqual(BYTES)
    expect(await readAll(openCapture(file))).toEqual(whole)
  })

  it('that is cut gives what gzip itself can take out of it, and a problem', async () => {
    // Stored blocks of a file that does not compress: every cut yields bytes up to it.
    const packed = gzipSync(BYTES, { level: 0 })
    for (let length = 3; length < packed.length; length += 13) {
      const cut = packed.subarray(0, length)
      const { frames, problem, bytesRead } = await readAll(openCapture(save('cut', cut)))
      const partial = spawnGzip(cut)
      expect(bytesRead).toBe(partial.length)
      expect(frames).toEqual(whole.frames.slice(0, frames.length))
      expect(problem).toEqual({ offset: partial.length, reason: 'gzip: unexpected end of file' })
    }
  })

  it('that is damaged is a problem, not an exception, behind all packets in front of the damage', async () => {
    const packed = gzip(BYTES)
    packed[packed.length - 6]! ^= 0xff
    const { frames, problem, bytesRead } = await readAll(openCapture(save('damaged', packed)))
    expect(problem).toEqual({ offset: BYTES.length, reason: 'gzip: incorrect data check' })
    expect({ frames, bytesRead }).toEqual({ frames: whole.frames, bytesRead: BYTES.length })
  })

  it('larger than every buffer on the way comes out whole', async () => {
    const record = BYTES.subarray(24)
    const large = Buffer.concat([BYTES.subarray(0, 24), ...Array.from({ length: 5_000 }, () => record)])
    const { frames, problem, bytesRead } = await readAll(openCapture(save('large', gzip(large))))
    expect(problem).toBeUndefined()
    expect(bytesRead).toBe(large.length)
    expect(frames.length).toBe(25_000)
    expect(frames.at(-1)).toEqual(whole.frames.at(-1))
  })
})

/** What gzip writes to standard output before it complains. */
function spawnGzip(input: Uint8Array): Buffer {
  try {
    return execFileSync('gzip', ['-dc'], { input, stdio: ['pipe', 'pipe', 'ignore'] })
  } catch (error) {
    return (error as { stdout: Buffer }).stdout
  }
}

describe('FIFO', () => {
  requires('mkfifo')('is read as its writer writes, with no thread blocked meanwhile', async () => {
    const path = join(folder, 'fifo')
    output('mkfifo', path)
    const reading = readAll(openCapture(path))
    const writer = openSync(path, 'w')
    for (const byte of BYTES) {
      writeSync(writer, Uint8Array.of(byte))
      await new Promise(setImmediate)
    }
    closeSync(writer)
    expect(await reading).toEqual(whole)
  })

  requires('mkfifo')('that is closed while waited for is at its end', async () => {
    const path = join(folder, 'silent')
    output('mkfifo', path)
    const feed = openCapture(path)
    const reading = feed.read(new Uint8Array(100))
    feed.close()
    feed.close()
    expect(await reading).toBe(0)
  })
})

describe('standard input', () => {
  const script = `
    import { openCapture } from ${JSON.stringify(new URL('../../src/pcap-writer/open-capture.ts', import.meta.url).href)}
    const feed = openCapture('-')
    const bytes = new Uint8Array(7)
    let total = 0
    for (let length = await feed.read(bytes); length > 0; length = await feed.read(bytes)) total += length
    feed.close()
    console.log(total)
  `
  const run = (shell: string): string =>
    execFileSync('sh', ['-c', shell, 'sh', process.execPath, script, SOURCE], { encoding: 'utf8' })
  const reader = '"$1" --import tsx --input-type=module -e "$2"'

  test.each([
    ['a file', `${reader} <"$3"`],
    ['a pipe', `cat "$3" | ${reader}`],
    ['a pipe of gzip', `gzip -c "$3" | ${reader}`],
    ['nothing', `${reader} </dev/null`],
  ])('%s', (name, shell) => {
    expect(Number(run(shell))).toBe(name === 'nothing' ? 0 : BYTES.length)
  })

  test('a pipe that is silent for a while costs no processor time', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const printed = new Promise<string>((resolve) =>
      child.stdout.once('data', (text: Buffer) => resolve(text.toString())),
    )
    const stat = (): number => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
      return Number(fields[11]) + Number(fields[12])
    }
    child.stdin.write(BYTES.subarray(0, 100))
    const ticks = await settled(stat)
    child.stdin.end(BYTES.subarray(100))
    expect(Number(await printed)).toBe(BYTES.length)
    expect(ticks).toBeGreaterThan(0)
  })
})

/** Waits until a process has used no tick of processor time for half a second. */
async function settled(stat: () => number): Promise<number> {
  let last = -1
  let since = performance.now()
  while (performance.now() - since < 500) {
    const ticks = stat()
    if (ticks !== last) since = performance.now()
    last = ticks
    await new Promise(setImmediate)
  }
  return last
}

describe('input that the system cannot read on', () => {
  const script = `
    import { openCapture } from ${JSON.stringify(new URL('../../src/pcap-writer/open-capture.ts', import.meta.url).href)}
    const feed = openCapture('-')
    const bytes = new Uint8Array(100)
    while ((await feed.read(bytes)) > 0);
    console.log(await feed.read(bytes), feed.problem)
    feed.close()
  `
  const args = ['--import', 'tsx', '--input-type=module', '-e', script]

  // The first page of a process is never mapped: reading it is EIO (proc_pid_mem(5)).
  requires('linux')('is a problem in a file, not an exception', async () => {
    const { frames, problem } = await readAll(openCapture('/proc/self/mem'))
    expect([frames.length, problem]).toEqual([0, { offset: 0, reason: 'reading failed: EIO' }])
  })

  test('is a problem as standard input that was opened for writing', () => {
    const fd = openSync(join(folder, 'write-only'), 'w')
    const text = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: [fd, 'pipe', 'inherit'] })
    closeSync(fd)
    expect(text).toBe('0 reading failed: EBADF\n')
  })

  test('is a problem as a connection that is reset', async () => {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const peer = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [accepted] = (await once(server, 'connection')) as [Socket]
    server.close()
    const child = spawn(process.execPath, args, { stdio: [accepted, 'pipe', 'inherit'] })
    accepted.destroy()
    peer.resetAndDestroy()
    const [text] = await once(child.stdout!, 'data')
    expect(`${text}`).toBe('0 reading failed: ECONNRESET\n')
  })

  test('costs no packet before it', async () => {
    const { frames, problem } = await readAll({ ...memoryFeed(BYTES), problem: 'reading failed: EIO' })
    expect([frames, problem]).toEqual([whole.frames, { offset: BYTES.length, reason: 'reading failed: EIO' }])
  })

  requires('gzip')('is told as what it is, not as a cut gzip file', async () => {
    const cut = { ...memoryFeed(gzip(BYTES).subarray(0, 200)), problem: 'reading failed: EIO' }
    const { problem } = await readAll(new GzipFeed(cut, new Uint8Array(0)))
    expect(problem?.reason).toBe('reading failed: EIO')
  })
})

describe('what cannot be opened', () => {
  const code = (path: string): string => {
    try {
      openCapture(path).close()
      return 'opened'
    } catch (error) {
      expect(error).toBeInstanceOf(CaptureOpenError)
      expect((error as Error).message.split('\n')).toHaveLength(2)
      return (error as CaptureOpenError).code
    }
  }

  test('an absent file is ENOENT', () => expect(code(join(folder, 'absent'))).toBe('ENOENT'))
  test('a directory is EISDIR', () => expect(code(folder)).toBe('EISDIR'))
  test('a path through a file is ENOTDIR', () => expect(code(`${SOURCE}/x`)).toBe('ENOTDIR'))

  requires('root')('a file without permission is EACCES', () => {
    const file = save('secret', BYTES)
    chmodSync(file, 0)
    chmodSync(folder, 0o755)
    process.seteuid!(65534)
    try {
      expect(code(file)).toBe('EACCES')
    } finally {
      process.seteuid!(0)
    }
  })
})
