import { expect } from 'vitest'
import * as bpf from '../../src/dgram-extended/bpf-layout.ts'
import * as libc from '../../src/dgram-extended/libc.ts'
import { CONTROL_BYTES } from '../../src/dgram-extended/message-headers.ts'
import * as packet from '../../src/dgram-extended/packet-layout.ts'
import { SUN_PATH_BYTES } from '../../src/dgram-extended/unix-datagram.ts'
import { requires } from '../support/requirements.ts'
import { evaluateInC } from './evaluate-in-c.ts'

const HEADERS = `#define _GNU_SOURCE
#include <stdio.h>
#include <stddef.h>
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <linux/udp.h>
#include <linux/sock_diag.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/ioctl.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <sys/syscall.h>
`

const it = requires('linux', 'gcc')

it('every constant has the value of its name in the C headers', () => {
  const names = [
    ...[
      'AF_UNIX',
      'AF_INET',
      'AF_INET6',
      'SOCK_DGRAM',
      'SOCK_CLOEXEC',
      'SOL_SOCKET',
      'SO_SNDBUF',
      'SO_RCVBUF',
      'SO_REUSEPORT',
    ],
    ...['SO_SNDBUFFORCE', 'SO_RCVBUFFORCE', 'SO_TIMESTAMPNS', 'SO_MEMINFO', 'SK_MEMINFO_DROPS', 'SK_MEMINFO_VARS'],
    ...['IPPROTO_UDP', 'UDP_SEGMENT', 'IPPROTO_IPV6', 'IPV6_V6ONLY', 'MSG_TRUNC', 'MSG_DONTWAIT', 'POLLIN'],
    ...['EINTR', 'EAGAIN', 'ENOBUFS'],
  ]
  const exported = new Map<string, unknown>(Object.entries(libc))
  expect(names.map((name) => [name, exported.get(name)])).toEqual(
    evaluateInC(HEADERS, names).map((value, i) => [names[i], value]),
  )
})

it('so has every constant of packet sockets', () => {
  const named = Object.entries(packet).filter(([name]) =>
    /^(EPERM|SOL_P|ETH_P|PACKET_|TPACKET_V|TP_S|SO_A|BPF_MAX)/.test(name),
  )
  // Younger than the headers of the oldest systems this runs on: as Linux 5.19 has it.
  const known = named.filter(([name]) => name !== 'PACKET_FANOUT_FLAG_IGNORE_OUTGOING')
  expect(known.length).toBeGreaterThan(16)
  expect(known.map(([, value]) => value)).toEqual(
    evaluateInC(
      HEADERS,
      known.map(([name]) => name),
    ),
  )
  const loads: [string, number][] = [
    ['BPF_LD|BPF_ABS', packet.BPF_LOAD_ABSOLUTE],
    ['BPF_LD|BPF_IND', packet.BPF_LOAD_INDEXED],
    ['BPF_W', packet.BPF_SIZE_WORD],
    ['BPF_H', packet.BPF_SIZE_HALF],
    ['BPF_B', packet.BPF_SIZE_BYTE],
    ['BPF_LDX|BPF_B|BPF_MSH', packet.BPF_LOAD_HEADER_LENGTH],
    ['BPF_JMP|BPF_JA', packet.BPF_JUMP],
    ['BPF_JMP|BPF_JEQ|BPF_K', packet.BPF_JUMP_EQUAL],
    ['BPF_JMP|BPF_JSET|BPF_K', packet.BPF_JUMP_ANY_BIT],
    ['BPF_RET|BPF_K', packet.BPF_RETURN],
    ['(unsigned)(SKF_AD_OFF+SKF_AD_PROTOCOL)', packet.AD_PROTOCOL],
    ['(unsigned)(SKF_AD_OFF+SKF_AD_PKTTYPE)', packet.AD_PACKET_TYPE],
    ['(unsigned)(SKF_AD_OFF+SKF_AD_IFINDEX)', packet.AD_IFINDEX],
    ['(unsigned)(SKF_AD_OFF+SKF_AD_VLAN_TAG_PRESENT)', packet.AD_VLAN_TAG_PRESENT],
  ]
  expect(loads.map(([, value]) => value)).toEqual(
    evaluateInC(
      HEADERS,
      loads.map(([expression]) => expression),
    ),
  )
})

it('so has every constant of bpf(2)', () => {
  const named = Object.entries(bpf).filter(([name]) => !name.startsWith('BPF_ATTR_'))
  expect(named.length).toBeGreaterThan(9)
  expect(named.map(([, value]) => value)).toEqual(
    evaluateInC(
      HEADERS,
      named.map(([name]) => name),
    ),
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
    ['sizeof(((struct sockaddr_un *)0)->sun_path)', SUN_PATH_BYTES],
    ['offsetof(struct sockaddr_un, sun_path)', 2],
    ['sizeof(struct pollfd)', libc.POLLFD_BYTES],
    ['offsetof(struct pollfd, events)', libc.POLLFD_EVENTS],
    ['offsetof(struct pollfd, revents)', libc.POLLFD_REVENTS],

    ['offsetof(struct sockaddr_ll, sll_family)', packet.SLL_FAMILY],
    ['offsetof(struct sockaddr_ll, sll_protocol)', packet.SLL_PROTOCOL],
    ['sizeof(struct tpacket_req3)', 4 * packet.TPACKET_REQ3_WORDS],
    ['sizeof(struct tpacket_stats_v3)', 4 * packet.STATS_WORDS],
    ['offsetof(struct tpacket_stats_v3, tp_drops)', 4 * packet.STATS_DROPS],
    ['offsetof(struct tpacket_stats_v3, tp_freeze_q_cnt)', 4 * packet.STATS_FREEZES],
    ['offsetof(struct tpacket_block_desc, hdr.bh1.block_status)', 4 * packet.BLOCK_STATUS],
    ['offsetof(struct tpacket_block_desc, hdr.bh1.num_pkts)', 4 * packet.BLOCK_PACKETS],
    ['offsetof(struct tpacket_block_desc, hdr.bh1.offset_to_first_pkt)', 4 * packet.BLOCK_FIRST],
    ['sizeof(struct tpacket_block_desc)', packet.BLOCK_HEADER_BYTES],
    ['offsetof(struct tpacket3_hdr, tp_next_offset)', 4 * packet.FRAME_NEXT],
    ['offsetof(struct tpacket3_hdr, tp_sec)', 4 * packet.FRAME_SECONDS],
    ['offsetof(struct tpacket3_hdr, tp_nsec)', 4 * packet.FRAME_NANOSECONDS],
    ['offsetof(struct tpacket3_hdr, tp_snaplen)', 4 * packet.FRAME_CAPTURED],
    ['offsetof(struct tpacket3_hdr, tp_len)', 4 * packet.FRAME_LENGTH],
    ['offsetof(struct tpacket3_hdr, tp_net)', 4 * packet.FRAME_NETWORK + 2],
    ['offsetof(struct tpacket3_hdr, tp_status)', 4 * packet.FRAME_STATUS],
    ['TPACKET3_HDRLEN', packet.FRAME_HEADER_BYTES],
    ['offsetof(union bpf_attr, prog_type)', bpf.BPF_ATTR_PROG_TYPE],
    ['offsetof(union bpf_attr, insn_cnt)', bpf.BPF_ATTR_INSN_CNT],
    ['offsetof(union bpf_attr, insns)', bpf.BPF_ATTR_INSNS],
    ['offsetof(union bpf_attr, license)', bpf.BPF_ATTR_LICENSE],
    ['offsetof(union bpf_attr, log_level)', bpf.BPF_ATTR_LOG_LEVEL],
    ['offsetof(union bpf_attr, log_size)', bpf.BPF_ATTR_LOG_SIZE],
    ['offsetof(union bpf_attr, log_buf)', bpf.BPF_ATTR_LOG_BUF],
    ['offsetof(union bpf_attr, prog_name)', bpf.BPF_ATTR_PROG_NAME],
    ['offsetof(union bpf_attr, prog_name) + BPF_OBJ_NAME_LEN', bpf.BPF_ATTR_PROG_LOAD_BYTES],
    ['offsetof(union bpf_attr, pathname)', bpf.BPF_ATTR_PATHNAME],
    ['offsetof(union bpf_attr, bpf_fd)', bpf.BPF_ATTR_BPF_FD],
    ['offsetof(union bpf_attr, file_flags) + 4', bpf.BPF_ATTR_OBJ_PIN_BYTES],
  ]
  const expressions = layout.map(([expression]) => expression)
  expect(layout).toEqual(evaluateInC(HEADERS, expressions).map((value, i) => [expressions[i], value]))
})

requires('linux')('system calls can be made here', () => {
  expect(libc.systemCallsUnavailable()).toBeUndefined()
})
