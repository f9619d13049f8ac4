import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import {
  CannotCreateError,
  PathTemplateError,
  PcapWriter,
  type PcapWriterOptions,
} from '../../src/pcap-writer/pcap-writer.ts'
import { requires } from '../support/requirements.ts'
import { frame } from './records.frames.ts'
import { range, sequences, tcpdump, temporaryFolder, tshark } from './records.ts'

const WRITER = new URL('killed-writer.ts', import.meta.url).pathname

describe('PcapWriter', () => {
  requires('tshark').each(['pcap', 'pcapng'] as const)(
    'writes %s frames as they are, in order, cut to the snap length',
    (format) => {
      const path = join(temporaryFolder(), 'a')
      const writer = new PcapWriter({ path, format, snapLength: 100 })
      // 30 000 records of 116 bytes are more than its chunk holds.
      for (let i = 0; i < 30_000; i++)
        writer.write(frame(i, 0, 100 + (i % 3)).bytes, { seconds: i, nanoseconds: i, wireLength: i })
      writer.close()
      const told = tshark(path, 'frame.time_epoch', 'frame.cap_len', 'frame.len')
      expect(told).toEqual(
        range(0, 30_000).map((i) => `${i}.${`${i}`.padStart(9, '0')}\t100\t${Math.max(i, 100 + (i % 3))}`),
      )
      expect(sequences(path)).toEqual(range(0, 30_000))
      expect([writer.written, writer.droppedFrames]).toEqual([30_000, 0])
    },
  )

  requires('tshark')('copies: a frame may be overwritten as soon as write returns', () => {
    const path = join(temporaryFolder(), 'a.pcap')
    const writer = new PcapWriter({ path })
    const { bytes } = frame(7, 0)
    writer.write(bytes, { seconds: 1, nanoseconds: 2 })
    bytes.fill(0xa5)
    writer.close()
    expect(sequences(path)).toEqual([7])
  })

  requires('tshark')('keeps series apart: a file, or an interface, for each', () => {
    const folder = temporaryFolder()
    const files = new PcapWriter({ path: `${folder}/{encap}-{vni}.pcap` })
    const interfaces = new PcapWriter({ path: `${folder}/all.pcapng`, format: 'pcapng' })
    for (let i = 0; i < 6; i++) {
      const info = { seconds: 1, nanoseconds: 0, encapsulation: i % 2 ? 'vxlan' : 'geneve', tunnelId: i % 3 }
      files.write(frame(i, 0).bytes, info)
      interfaces.write(frame(i, 0).bytes, info)
    }
    files.close()
    interfaces.close()
    expect(sequences(`${folder}/vxlan-0.pcap`)).toEqual([3])
    expect(sequences(`${folder}/geneve-2.pcap`)).toEqual([2])
    expect(readdirSync(folder)).toHaveLength(7)
    expect(tshark(`${folder}/all.pcapng`, 'frame.interface_name')).toEqual([
      'geneve-0',
      'vxlan-1',
      'geneve-2',
      'vxlan-0',
      'geneve-1',
      'vxlan-2',
    ])
  })

  test('refuses what cannot be written', () => {
    const folder = temporaryFolder()
    expect(() => new PcapWriter({ path: `${folder}/%Q` })).toThrow(PathTemplateError)
    expect(() => new PcapWriter({ path: `${folder}/missing/a` })).toThrow(CannotCreateError)
    const writer = new PcapWriter({ path: `${folder}/a` })
    const { bytes } = frame(0, 0)
    expect(() => writer.write(bytes, { seconds: -1, nanoseconds: 0 })).toThrow(RangeError)
    expect(() => writer.write(bytes, { seconds: 0, nanoseconds: 1e9 })).toThrow(RangeError)
    expect(() => writer.write(bytes, { seconds: 0, nanoseconds: 0, encapsulation: '../x' })).toThrow(RangeError)
    writer.close()
    writer.close()
    expect(writer.written).toBe(0)
    expect(() => writer.write(bytes, { seconds: 0, nanoseconds: 0 })).toThrow('closed')
  })
})

function start(options: PcapWriterOptions): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', WRITER, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Waits for the first report of at least `frames` written. */
async function reported(child: ChildProcess, frames: number): Promise<number> {
  for await (const line of createInterface(child.stderr!)) {
    if (Number(line) >= frames) return Number(line)
    if (!/^\d+$/.test(line)) throw new Error(line)
  }
  throw new Error('the writer ended by itself')
}

describe('a writer that is killed with SIGKILL', () => {
  requires('tshark').each([
    ['a.pcap', {}],
    ['a.pcapng', { format: 'pcapng' }],
  ] as const)('leaves %s readable up to its last flush', async (name, options) => {
    const path = join(temporaryFolder(), name)
    const child = start({ path, ...options })
    const written = await reported(child, 5000)
    child.kill('SIGKILL')
    await once(child, 'exit')
    // SIGKILL can end a write halfway.
    const found = sequences(path, true)
    expect(found.length).toBeGreaterThanOrEqual(written)
    expect(found).toEqual(range(0, found.length))
    expect(existsSync(path)).toBe(true)
  })

  requires('gzip', 'tshark')('leaves a gzip file readable up to its last flush', async () => {
    const path = join(temporaryFolder(), 'a.pcap')
    const child = start({ path, compress: 'gzip' })
    const written = await reported(child, 5000)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const found = sequences(`${path}.gz`)
    expect(found.length).toBeGreaterThanOrEqual(written)
    expect(found).toEqual(range(0, found.length))
    execFileSync('gzip', ['-t', `${path}.gz`])
  })
})

describe('standard output', () => {
  requires('tcpdump')('is read live by tcpdump, every flush', async () => {
    const writer = start({ path: '-' })
    const reader = spawn('tcpdump', ['-n', '-l', '-c', '1000', '-r', '-'], { stdio: ['pipe', 'pipe', 'ignore'] })
    writer.stdout!.pipe(reader.stdin!)
    reader.stdin!.on('error', () => {}) // tcpdump leaves after 1000 packets, with more on their way
    writer.stderr!.resume()
    let packets = 0
    for await (const line of createInterface(reader.stdout!)) if (line.includes('ethertype')) packets++
    writer.kill('SIGKILL')
    await once(writer, 'exit')
    expect(packets).toBe(1000)
  })

  requires('tshark')('that a shell sends into a file is written behind what is there, and is a capture file', () => {
    const path = join(temporaryFolder(), 'out')
    const script = `import { PcapWriter } from '${new URL('../../src/pcap-writer/pcap-writer.ts', import.meta.url).pathname}'
      const w = new PcapWriter({ path: '-' }); w.write(new Uint8Array(60), { seconds: 5, nanoseconds: 6 }); w.close()`
    execFileSync('sh', ['-c', '"$0" --import tsx --input-type=module -e "$1" > "$2"', process.execPath, script, path], {
      stdio: 'pipe',
    })
    expect(tshark(path, 'frame.time_epoch')).toEqual(['5.000000006'])
    expect(tcpdump(path).length).toBeGreaterThan(0)
    expect(readFileSync(path).length).toBe(24 + 76)
  })

  requires('linux')('whose reader leaves ends the writing once, and the rest counts as dropped', async () => {
    const script = `import { PcapWriter } from '${new URL('../../src/pcap-writer/pcap-writer.ts', import.meta.url).pathname}'
      let ended = 0
      const w = new PcapWriter({ path: '-', events: { ended: () => ended++ } })
      while (ended === 0) { w.write(new Uint8Array(60), { seconds: 5, nanoseconds: 6 }); w.flush() }
      const before = w.droppedFrames
      w.write(new Uint8Array(60), { seconds: 5, nanoseconds: 6 }); w.close()
      console.error(JSON.stringify([ended, w.droppedFrames - before]))`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // The reader leaves with the first bytes.
    child.stdout.once('data', () => child.stdout.destroy())
    const told: string[] = []
    for await (const line of createInterface(child.stderr)) told.push(line)
    expect(told).toEqual(['[1,1]'])
  })
})
