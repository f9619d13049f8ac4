import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../../src/config/terms/failure.ts'
import { portOwner } from '../../src/sources/port-owner.ts'
import type { Listener } from '../../src/sources/source.ts'
import { bufferWarning, describeListener, openFailure, socketAddresses } from '../../src/sources/udp-listeners.ts'
import { encapsulationNamed } from '../../src/wire/registry.ts'
import { requires } from '../support/requirements.ts'

function vxlanOn(port: number): Listener {
  return { encapsulation: encapsulationNamed('vxlan'), host: undefined, port }
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code })
}

const CODES = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EADDRINUSE', 'EACCES']

test('a listener without a host has a socket for each family; the one for IPv6 may be missing', () => {
  const listener = { encapsulation: 0, host: undefined, port: 4789 }
  const sockets = socketAddresses([listener])
  expect(sockets.map(({ address }) => address)).toEqual(['0.0.0.0', '::'])
  expect(CODES.map((code) => sockets[0]!.optional(coded(code)))).toEqual([false, false, false, false])
  expect(CODES.map((code) => sockets[1]!.optional(coded(code)))).toEqual([true, true, false, false])
})

test('a listener with a host has one socket, which is needed', () => {
  const listeners = ['10.0.0.1', '::1'].map((host) => ({ encapsulation: 0, host, port: 4789 }))
  const sockets = socketAddresses(listeners)
  expect(sockets.map(({ address, listener }) => [address, listener])).toEqual([
    ['10.0.0.1', listeners[0]],
    ['::1', listeners[1]],
  ])
  for (const socket of sockets) for (const code of CODES) expect(socket.optional(coded(code))).toBe(false)
})

test('what is listened on is told as --listen has it', () => {
  expect(describeListener('0.0.0.0', 4789, 0)).toBe('0.0.0.0:4789 (vxlan)')
  expect(describeListener('::', 4789, 0)).toBe('[::]:4789 (vxlan)')
})

test.each([
  ['EADDRNOTAVAIL', EXIT_UNAVAILABLE, 'no such address', 'ip address'],
  ['EACCES', EXIT_NO_PERMISSION, 'CAP_NET_BIND_SERVICE', 'above 1023'],
  ['EAFNOSUPPORT', EXIT_UNAVAILABLE, 'no IPv6', 'IPv4'],
])('%s is told in words, with what to do', (code, exitCode, what, mend) => {
  const failure = openFailure(coded(code), '192.0.2.1', vxlanOn(53)) as Failure
  expect(failure).toBeInstanceOf(Failure)
  expect(failure.exitCode).toBe(exitCode)
  expect(failure.message).toMatch(/^UDP 192\.0\.2\.1 port 53[^\n]*$/)
  expect([failure.message, failure.mend]).toEqual([expect.stringContaining(what), expect.stringContaining(mend)])
})

test('a raw socket needs a capability, and its failure says which', () => {
  const listener = { encapsulation: encapsulationNamed('gre'), host: undefined, port: 47 }
  const failure = openFailure(coded('EPERM'), '0.0.0.0', listener) as Failure
  expect(failure.exitCode).toBe(EXIT_NO_PERMISSION)
  expect(failure.message).toBe('IP protocol 47 (gre) at 0.0.0.0 needs CAP_NET_RAW.')
  expect(failure.mend).toMatch(/AmbientCapabilities=CAP_NET_RAW.*setcap cap_net_raw/)
})

test('an error that is no fault of the user stays what it is', () => {
  for (const error of [coded('EBADF'), new TypeError('x'), 'text'])
    expect(openFailure(error, '::', vxlanOn(1))).toBe(error)
})

test('a buffer smaller than asked for is worth a warning, one as large is not', () => {
  expect(bufferWarning('udp', 1000, 2000)).toBeUndefined()
  expect(bufferWarning('udp', 1000, 1998)).toMatch(/asked for 1000 bytes, got 999;/)
  expect(bufferWarning('udp', 64 << 20, 425_984)).toMatch(/67108864.*212992.*net\.core\.rmem_max=67108864/)
})

test('a small buffer is mended by what its engine can use: a capability is nothing to dgram', () => {
  expect(bufferWarning('udp', 1000, 1998)).toMatch(/rmem_max=1000", or give CAP_NET_ADMIN\.$/)
  expect(bufferWarning('dgram', 1000, 1998)).toMatch(/rmem_max=1000", or use --engine udp with CAP_NET_ADMIN\.$/)
})

requires('linux')('a port in use is told with the process that has it', async () => {
  const socket = createSocket('udp4')
  try {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const { port } = socket.address()
    expect(portOwner(port)?.text).toContain(`process ${process.pid})`)
    const failure = openFailure(coded('EADDRINUSE'), '127.0.0.1', vxlanOn(port)) as Failure
    expect(failure.exitCode).toBe(EXIT_UNAVAILABLE)
    expect(failure.message).toContain(`port ${port} is in use by`)
    expect(failure.message).toContain(`${process.pid}`)
    expect(failure.mend).toContain('--listen :PORT')
  } finally {
    socket.close()
  }
})

requires('linux')('a port that nobody has has no owner', async () => {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  expect(portOwner(port)).toBeUndefined()
  expect((openFailure(coded('EADDRINUSE'), '127.0.0.1', vxlanOn(port)) as Failure).mend).toContain('ss -ulnp')
})
