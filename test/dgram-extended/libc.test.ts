import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import * as libc from '../../src/dgram-extended/libc.ts'
import { CONTROL_BYTES } from '../../src/dgram-extended/message-headers.ts'
import { requires } from '../support/requirements.ts'

const HEADERS = `#define _GNU_SOURCE
#include <stdio.h>
#include <stddef.h>
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <linux/udp.h>
#include <linux/sock_diag.h>
`

/** What a C compiler makes of each expression, with the system's own headers. */
function evaluateInC(expressions: readonly string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'libc-'))
  try {
    const prints = expressions.map((expression) => `printf("%ld\\n", (long)(${expression}));`)
    writeFileSync(join(folder, 'a.c'), `${HEADERS}int main(void) {\n${prints.join('\n')}\n}\n`)
    const compiled = spawnSync('gcc', ['-o', join(folder, 'a'), join(folder, 'a.c')], { encoding: 'utf8' })
    if (compiled.status !== 0) throw new Error(compiled.stderr)
    return spawnSync(join(folder, 'a'), { encoding: 'utf8' }).stdout.trim().split('\n').map(Number)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const it = requires('linux', 'gcc')

it('every constant has the value of its name in the C headers', () => {
  const names = [
    ...['AF_INET', 'AF_INET6', 'SOCK_DGRAM', 'SOCK_CLOEXEC', 'SOL_SOCKET', 'SO_SNDBUF', 'SO_RCVBUF', 'SO_REUSEPORT'],
    ...['SO_SNDBUFFORCE', 'SO_RCVBUFFORCE', 'SO_TIMESTAMPNS', 'SO_MEMINFO', 'SK_MEMINFO_DROPS', 'SK_MEMINFO_VARS'],
    ...['IPPROTO_UDP', 'UDP_SEGMENT', 'IPPROTO_IPV6', 'IPV6_V6ONLY', 'MSG_TRUNC', 'MSG_DONTWAIT', 'POLLIN'],
    ...['EINTR', 'EAGAIN', 'ENOBUFS'],
  ]
  const exported = new Map<string, unknown>(Object.entries(libc))
  expect(names.map((name) => [name, exported.get(name)])).toEqual(
    evaluateInC(names).map((value, i) => [names[i], value]),
  )
})

it('every structure is laid out as the C compiler does it', () => {
  const { MMSGHDR_WORDS, IOVEC_WORDS, CMSG_WORDS } = libc
  const layout: [string, number][] = [
    ['sizeof(struct mmsghdr)', 4 * MMSGHDR_WORDS],
    ['offsetof(struct mmsghdr, msg_hdr.msg_name)', 4 * libc.MMSGHDR_NAME],
    ['offsetof(struct mmsghdr, msg_hdr.msg_namelen)', 4 * libc.MMSGHDR_NAMELEN],
    ['offsetof(struct mmsghdr, msg_hdr.msg_iov)', 4 * libc.MMSGHDR_IOV],
    ['offsetof(struct mmsghdr, msg_hdr.msg_iovlen)', 4 * libc.MMSGHDR_IOVLEN],
    ['offsetof(struct mmsghdr, msg_hdr.msg_control)', 4 * libc.MMSGHDR_CONTROL],
    ['offsetof(struct mmsghdr, msg_hdr.msg_controllen)', 4 * libc.MMSGHDR_CONTROLLEN],
    ['offsetof(struct mmsghdr, msg_hdr.msg_flags)', 4 * libc.MMSGHDR_FLAGS],
    ['offsetof(struct mmsghdr, msg_len)', 4 * libc.MMSGHDR_LEN],
    ['sizeof(struct iovec)', 4 * IOVEC_WORDS],
    ['offsetof(struct iovec, iov_base)', 4 * libc.IOVEC_BASE],
    ['offsetof(struct iovec, iov_len)', 4 * libc.IOVEC_LEN],
    ['CMSG_SPACE(sizeof(struct timespec))', 4 * CMSG_WORDS],
    ['CMSG_LEN(sizeof(struct timespec))', CONTROL_BYTES],
    ['CMSG_LEN(0) + offsetof(struct timespec, tv_sec)', 4 * libc.CMSG_TIMESPEC_SECONDS],
    ['CMSG_LEN(0) + offsetof(struct timespec, tv_nsec)', 4 * libc.CMSG_TIMESPEC_NANOSECONDS],
    ['sizeof(struct pollfd)', libc.POLLFD_BYTES],
    ['offsetof(struct pollfd, events)', libc.POLLFD_EVENTS],
    ['offsetof(struct pollfd, revents)', libc.POLLFD_REVENTS],
  ]
  const expressions = layout.map(([expression]) => expression)
  expect(layout).toEqual(evaluateInC(expressions).map((value, i) => [expressions[i], value]))
})

requires('linux')('system calls can be made here', () => {
  expect(libc.systemCallsUnavailable()).toBeUndefined()
})
