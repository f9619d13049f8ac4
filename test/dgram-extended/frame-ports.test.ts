import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FramePort } from '../../src/dgram-extended/frame-port.ts'
import { deviceIndex, deviceMtu, isDeviceName, setDeviceMtu } from '../../src/dgram-extended/network-device.ts'
import { PacketSender } from '../../src/dgram-extended/packet-sender.ts'
import { allocateSharedMemory, openSharedMemory } from '../../src/dgram-extended/shared-memory.ts'
import { TapDevice } from '../../src/dgram-extended/tap-device.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import { requires, unmet } from '../support/requirements.ts'
import { until } from '../support/waiting.ts'

const it = requires('root', 'namespaces', 'ip')
const hasNamespaces = unmet('root', 'namespaces', 'ip').length === 0
let namespace: OwnNamespace | undefined
let memory: Uint8Array
const ports: FramePort[] = []

beforeEach(() => {
  if (hasNamespaces) namespace = new OwnNamespace()
  memory = new Uint8Array(openSharedMemory(allocateSharedMemory(1 << 17)))
})
afterEach(() => {
  for (const port of ports.splice(0)) port.close()
  namespace?.leave()
})

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function opened<Port extends FramePort>(port: Port): Port {
  ports.push(port)
  return port
}

/** Sends one frame; 0, or the errno. */
function sendOne(port: FramePort, length: number): number {
  return port.send(Uint32Array.of(0), Uint32Array.of(length), 0, 1) === 1 ? 0 : port.errno
}

/** Packets and bytes that arrived at a device, by the kernel's count. */
function arrived(device: string): [number, number] {
  const [{ stats64 }] = JSON.parse(ip('-j', '-s', 'link', 'show', device))
  return [stats64.rx.packets, stats64.rx.bytes]
}

const [EIO, ENXIO, EINVAL, EBADFD, EMSGSIZE, ENETDOWN] = [5, 6, 22, 77, 90, 100]

test('names are those that the kernel takes', () => {
  expect(['ids0', 'x'.repeat(15), 'ä'.repeat(7), '-1'].map(isDeviceName)).toEqual([true, true, true, true])
  const bad = ['', 'x'.repeat(16), 'ä'.repeat(8), '.', '..', 'a/b', 'a:b', 'a b', 'tap%d', 'a\n', 'a\0']
  expect(bad.map(isDeviceName)).toEqual(bad.map(() => false))
})

it('a TAP device is made, up and silent, and gone when it is closed', () => {
  const tap = opened(TapDevice.open({ name: 'ids0' }, memory))
  expect(tap.isNew).toBe(true)
  const [link] = JSON.parse(ip('-j', '-d', 'link', 'show', 'ids0'))
  expect(link.linkinfo).toMatchObject({ info_kind: 'tun', info_data: { type: 'tap', persist: false } })
  expect(link.flags).toEqual(expect.arrayContaining(['UP', 'NOARP']))
  expect(ip('-6', 'address', 'show', 'ids0')).toBe('')
  tap.close()
  tap.close()
  expect(deviceIndex('ids0')).toBeUndefined()
})

it('a TAP device that persists stays with its owner, and is taken again', () => {
  TapDevice.open({ name: 'ids0', persist: true, owner: 1234 }, memory).close()
  const [link] = JSON.parse(ip('-j', '-d', 'link', 'show', 'ids0'))
  expect(link.linkinfo.info_data).toMatchObject({ persist: true, user: 1234 })
  const again = opened(TapDevice.open({ name: 'ids0' }, memory))
  expect(again.isNew).toBe(false)
  again.abandon()
  expect(deviceIndex('ids0')).toBeGreaterThan(0)
  const made = TapDevice.open({ name: 'ids1', persist: true }, memory)
  made.abandon()
  expect(deviceIndex('ids1')).toBeUndefined()
})

it('a TAP device takes frames of 14 bytes up to those of segmentation offload, and tells what it does not take', () => {
  const tap = opened(TapDevice.open({ name: 'ids0' }, memory))
  const lengths = Uint32Array.of(13, 14, 1514, 65_549, 100_000)
  const offsets = new Uint32Array(5)
  expect([tap.send(offsets, lengths, 0, 1), tap.errno]).toEqual([0, EINVAL])
  expect(tap.send(offsets, lengths, 1, 4)).toBe(4)
  // The kernel counts what is behind the Ethernet header and the header itself.
  expect(arrived('ids0')).toEqual([4, 14 + 1514 + 65_549 + 100_000])
  ip('link', 'set', 'ids0', 'down')
  expect(sendOne(tap, 60)).toBe(EIO)
  ip('link', 'set', 'ids0', 'up')
  expect(sendOne(tap, 60)).toBe(0)
  ip('link', 'del', 'ids0')
  expect(sendOne(tap, 60)).toBe(EBADFD)
})

it('a TAP device takes what it can of many frames: those come first then, in order', async () => {
  const tap = opened(TapDevice.open({ name: 'ids0' }, memory))
  const count = 600
  // A frame of 13 bytes, every hundredth; the others tell their number in length and bytes.
  const isShort = (i: number) => i % 100 === 7
  const lengths = Uint32Array.from({ length: count }, (_, i) => (isShort(i) ? 13 : 60 + i))
  const offsets = Uint32Array.from({ length: count }, (_, i) => 128 * i)
  const before = lengths.slice()
  const sentOf = () => before.filter((_, i) => !isShort(i)).reduce((sum, length) => sum + length, 0)
  let done = 0
  let refused = 0
  while (done < count) {
    done += tap.send(offsets, lengths, done, count - done)
    if (done === count) break
    expect([tap.errno, lengths[done]]).toEqual([EINVAL, 13])
    refused++
    done++
  }
  expect([refused, arrived('ids0')]).toEqual([6, [594, sentOf()]])
  const taken = [...lengths].filter((length) => length !== 13)
  expect(taken).toEqual([...before].filter((length) => length !== 13))
  for (const [i, length] of lengths.entries()) if (length !== 13) expect(offsets[i]).toBe(128 * (length - 60))
  ip('link', 'set', 'ids0', 'down')
  expect([tap.send(offsets, lengths, 0, 100), tap.errno]).toEqual([0, EIO])
  ip('link', 'del', 'ids0')
  expect([tap.send(offsets, lengths, 0, 100), tap.errno]).toEqual([0, EBADFD])
})

it('a TAP device that another program has, or that is something else, is refused', () => {
  opened(TapDevice.open({ name: 'ids0' }, memory))
  expect(() => TapDevice.open({ name: 'ids0' }, memory)).toThrow(expect.objectContaining({ code: 'EBUSY' }))
  expect(() => TapDevice.open({ name: 'lo' }, memory)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
})

it('an interface takes a thousand frames of many lengths, and tells which is above its MTU', async () => {
  ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'far')
  for (const end of ['eth1', 'far']) ip('link', 'set', end, 'addrgenmode', 'none')
  for (const end of ['eth1', 'far']) ip('link', 'set', end, 'up')
  const eth1 = opened(PacketSender.open('eth1', memory))
  // The kernel gives a device its queue a moment after its link: until then frames would vanish.
  await until('eth1 runs', () => sendOne(eth1, 60) === 0)
  expect(arrived('far')).toEqual([1, 60])
  const lengths = Uint32Array.from({ length: 1000 }, (_, i) => 60 + i)
  expect(eth1.send(new Uint32Array(1000), lengths, 0, 1000)).toBe(1000)
  expect(arrived('far')).toEqual([1001, 1001 * 60 + 499_500])
  lengths[300] = 1515
  expect([eth1.send(new Uint32Array(1000), lengths, 0, 1000), eth1.errno]).toEqual([300, EMSGSIZE])
  expect(sendOne(eth1, 13)).toBe(EINVAL)
  ip('link', 'set', 'eth1', 'down')
  expect(sendOne(eth1, 60)).toBe(ENETDOWN)
  ip('link', 'set', 'eth1', 'up')
  await until('eth1 runs again', () => sendOne(eth1, 60) === 0)
  ip('link', 'set', 'far', 'down')
  await until('eth1 has no link', () => sendOne(eth1, 60) === ENETDOWN)
  ip('link', 'del', 'eth1')
  expect(sendOne(eth1, 60)).toBe(ENXIO)
  expect(() => PacketSender.open('eth1', memory)).toThrow(expect.objectContaining({ code: 'ENODEV' }))
})

it("a device's MTU is read and set", () => {
  opened(TapDevice.open({ name: 'ids0' }, memory))
  expect(deviceMtu('ids0')).toBe(1500)
  setDeviceMtu('ids0', 65_521)
  expect(JSON.parse(ip('-j', 'link', 'show', 'ids0'))[0].mtu).toBe(65_521)
  expect(() => setDeviceMtu('ids0', 65_522)).toThrow(expect.objectContaining({ code: 'EINVAL' }))
  expect(existsSync('/proc/sys/net/ipv4/conf/ids0')).toBe(true)
})
