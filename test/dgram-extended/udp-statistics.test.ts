import { expect, test } from 'vitest'
import { listedDrops } from '../../src/dgram-extended/kernel-drops.ts'
import { UdpSender } from '../../src/dgram-extended/udp-sender.ts'
import { UdpSocket } from '../../src/dgram-extended/udp-socket.ts'
import { parseUdpStatistics, readUdpStatistics } from '../../src/dgram-extended/udp-statistics.ts'
import { requires } from '../support/requirements.ts'
import { arenaOf, columnsOf } from './support.ts'

// Printed by a kernel 6.18 on x86_64 for sockets that a Python program had bound; 297 of the 300 datagrams it sent were lost.
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            
 3467: 0302017F:12B5 00000000:0000 07 00000000:00000F00 00:00000000 00000000     0        0 145069 2 00000000978ad9d7 297      
`
const UDP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 4759: 00000000000000000000000001000000:17C1 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 145072 2 00000000ab39eeae 0
 7150: 00000000000000000000000000000000:2118 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 145071 2 00000000c4ed0f42 0
`

test('IPv4 sockets are read from /proc/net/udp', () => {
  expect(parseUdpStatistics(UDP)).toEqual([{ address: '127.1.2.3', port: 4789, inode: 145069, drops: 297 }])
})

test('IPv6 sockets are read from /proc/net/udp6', () => {
  expect(parseUdpStatistics(UDP6)).toEqual([
    { address: '::1', port: 6081, inode: 145072, drops: 0 },
    { address: '::', port: 8472, inode: 145071, drops: 0 },
  ])
})

test.each(['', 'sl', UDP.replace(' 297', ''), 'sl\nnonsense\n\n'])('what has another form is left out: %j', (text) => {
  expect(parseUdpStatistics(text)).toEqual([])
})

requires('linux').each([
  [4, '127.0.0.1'],
  [6, '::1'],
] as const)('drops of an IPv%i socket are found by its descriptor', (family, address) => {
  const [first, second] = [0, 1].map((_, i) => UdpSocket.open({ address, port: 0, receiveBuffer: 4096 + i }))
  const sender = UdpSender.open({ address, port: first!.port, segmentBytes: 100 })
  try {
    const sent = 64 * sender.send(8, 6400)
    const [arena, columns] = [arenaOf(64), columnsOf(64)]
    let received = 0
    for (let count = 1; count > 0; received += count) count = first!.receive(arena, columns)
    expect(sent - received).toBeGreaterThan(0)
    expect(listedDrops(first!.fd, family === 4 ? 'udp' : 'udp6')).toBe(sent - received)
    expect(listedDrops(second!.fd, family === 4 ? 'udp' : 'udp6')).toBe(0)
    expect(listedDrops(-1, family === 4 ? 'udp' : 'udp6')).toBeUndefined()
    expect(readUdpStatistics(family)).toContainEqual(expect.objectContaining({ address, port: second!.port }))
  } finally {
    for (const socket of [first!, second!, sender]) socket.close()
  }
})
