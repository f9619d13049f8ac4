import { expect } from 'vitest'
import * as devices from '../../src/dgram-extended/libc-devices.ts'
import { requires } from '../support/requirements.ts'
import { evaluateInC } from './evaluate-in-c.ts'

const HEADERS = `#include <stdio.h>
#include <stddef.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
`

const it = requires('linux', 'gcc')

it('every constant has the value of its name in the C headers', () => {
  const names = [
    ...['TUNSETIFF', 'TUNSETPERSIST', 'TUNSETOWNER', 'IFF_TAP', 'IFF_NO_PI', 'IFF_UP', 'IFF_RUNNING', 'IFF_NOARP'],
    ...['SIOCGIFFLAGS', 'SIOCSIFFLAGS', 'SIOCGIFMTU', 'SIOCSIFMTU', 'SIOCGIFINDEX', 'AF_PACKET', 'SOCK_RAW'],
    ...['EIO', 'ENXIO', 'ENOMEM', 'EBUSY', 'ENODEV', 'EINVAL', 'EBADFD', 'EMSGSIZE', 'ENETDOWN'],
  ]
  const exported = new Map<string, unknown>(Object.entries(devices))
  expect(names.map((name) => [name, exported.get(name)])).toEqual(
    evaluateInC(HEADERS, names).map((value, i) => [names[i], value]),
  )
})

it('every structure is laid out as the C compiler does it', () => {
  const layout: [string, number][] = [
    ['sizeof(struct ifreq)', devices.IFREQ_BYTES],
    ['offsetof(struct ifreq, ifr_ifru)', devices.IFREQ_UNION],
    ['IFNAMSIZ - 1', devices.LONGEST_DEVICE_NAME],
    ['sizeof(struct sockaddr_ll)', devices.SOCKADDR_LL_BYTES],
    ['offsetof(struct sockaddr_ll, sll_ifindex)', devices.SOCKADDR_LL_IFINDEX],
  ]
  const expressions = layout.map(([expression]) => expression)
  expect(layout).toEqual(evaluateInC(HEADERS, expressions).map((value, i) => [expressions[i], value]))
})
