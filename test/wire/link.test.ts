import { describe, expect, test } from 'vitest'
import { LinkHeader } from '../../src/wire/link.ts'
import {
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_LINUX_SLL2,
  LINKTYPE_LOOP,
  LINKTYPE_NULL,
  LINKTYPE_RAW,
} from '../../src/wire/link-type.ts'
import { BAD_OUTER, OK, UNKNOWN_ENCAPSULATION } from '../../src/wire/verdict.ts'
import { AMID_OFFSET, amid, hex } from './bytes.ts'

const MACS = '020000000002 020000000001'
/** tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html: to us, ARPHRD_ETHER, six bytes of address, two of padding. */
const SLL = '0000 0001 0006 020000000001 0000'
/** tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html, behind the protocol: reserved, interface 2, ARPHRD_ETHER, to us, 6, address. */
const SLL2 = '0000 00000002 0001 00 06 020000000001 0000'

function decode(linkType: number, header: Uint8Array, around = 0x45): { verdict: number; link: LinkHeader } {
  const link = new LinkHeader()
  return { link, verdict: link.decode(amid(header, around), AMID_OFFSET, header.length, linkType) }
}

describe.each([
  ['Ethernet, IPv4', LINKTYPE_ETHERNET, `${MACS} 0800`, 14, 0x0800],
  ['Ethernet, IPv6', LINKTYPE_ETHERNET, `${MACS} 86dd`, 14, 0x86dd],
  ['Ethernet, ARP', LINKTYPE_ETHERNET, `${MACS} 0806`, 14, 0x0806],
  ['802.1Q', LINKTYPE_ETHERNET, `${MACS} 8100 0064 0800`, 18, 0x0800],
  ['802.1ad', LINKTYPE_ETHERNET, `${MACS} 88a8 0064 86dd`, 18, 0x86dd],
  ['802.1ad and 802.1Q', LINKTYPE_ETHERNET, `${MACS} 88a8 0064 8100 e001 0800`, 22, 0x0800],
  ['802.1Q twice', LINKTYPE_ETHERNET, `${MACS} 8100 0064 8100 0001 86dd`, 22, 0x86dd],
  ['QinQ with 0x9100', LINKTYPE_ETHERNET, `${MACS} 9100 0064 8100 0001 0800`, 22, 0x0800],
  ['QinQ with 0x9200', LINKTYPE_ETHERNET, `${MACS} 9200 0064 8100 0001 0800`, 22, 0x0800],
  ['three tags', LINKTYPE_ETHERNET, `${MACS} 88a8 0003 8100 0002 8100 0001 0800`, 26, 0x0800],
  ['LINUX_SLL', LINKTYPE_LINUX_SLL, `${SLL} 0800`, 16, 0x0800],
  ['LINUX_SLL with 802.1Q', LINKTYPE_LINUX_SLL, `${SLL} 8100 0064 86dd`, 20, 0x86dd],
  ['LINUX_SLL2', LINKTYPE_LINUX_SLL2, `86dd ${SLL2}`, 20, 0x86dd],
  ['LINUX_SLL2 with 802.1Q', LINKTYPE_LINUX_SLL2, `8100 ${SLL2} 0064 0800`, 24, 0x0800],
])('%s', (_name, linkType, header, headerBytes, etherType) => {
  const bytes = hex(header)

  test('the network header behind it is found', () => {
    const { verdict, link } = decode(linkType, bytes)
    expect([verdict, link.headerBytes, link.etherType]).toEqual([OK, headerBytes, etherType])
  })

  test('every truncation is refused', () => {
    expect(bytes.length).toBe(headerBytes)
    for (let length = 0; length < bytes.length; length++) {
      expect(decode(linkType, bytes.subarray(0, length)).verdict).toBe(BAD_OUTER)
    }
  })
})

describe.each([
  ['RAW', LINKTYPE_RAW, ''],
  ['IPV4', LINKTYPE_IPV4, ''],
  ['IPV6', LINKTYPE_IPV6, ''],
  ['NULL, AF_INET in little endian', LINKTYPE_NULL, '02000000'],
  ['NULL, AF_INET6 of macOS', LINKTYPE_NULL, '1e000000'],
  ['NULL, AF_INET6 of FreeBSD in big endian', LINKTYPE_NULL, '0000001c'],
  ['LOOP', LINKTYPE_LOOP, '00000002'],
])('%s', (_name, linkType, header) => {
  const length = header.length / 2

  test.each([
    ['45', 0x0800],
    ['4f', 0x0800],
    ['60', 0x86dd],
  ])('the version of a packet that starts with %s decides', (first, etherType) => {
    const { verdict, link } = decode(linkType, hex(header + first))
    expect([verdict, link.headerBytes, link.etherType]).toEqual([OK, length, etherType])
  })

  test('a packet of no IP version is unknown', () => {
    for (const first of ['00', '35', '54', '70', 'ff']) {
      expect(decode(linkType, hex(header + first)).verdict).toBe(UNKNOWN_ENCAPSULATION)
    }
  })

  test('without a byte of the packet it is refused', () => {
    const bytes = hex(header)
    for (let cut = 0; cut <= length; cut++) {
      expect(decode(linkType, bytes.subarray(0, cut)).verdict).toBe(BAD_OUTER)
    }
  })
})

test.each([9, 105, 127, 0xffff])('link type %i is unknown', (linkType) => {
  expect(decode(linkType, hex(`${MACS} 0800 4500`)).verdict).toBe(UNKNOWN_ENCAPSULATION)
})
