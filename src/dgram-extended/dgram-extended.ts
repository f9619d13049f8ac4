// biome-ignore-all lint/performance/noBarrelFile: this is the package's export `mirror-collector/dgram-extended`, for programs outside, and an export names one file; inside src every import names the file it needs

export type { BlockReader } from './block-reader.ts'
export { BpfProgram } from './bpf-program.ts'
export { DatagramArena, HEADROOM_BYTES } from './datagram-arena.ts'
export type { DatagramColumns } from './datagram-columns.ts'
export type { DatagramSocket } from './datagram-socket.ts'
export type { FramePort } from './frame-port.ts'
export { systemCallsUnavailable } from './libc.ts'
export {
  compileFilter,
  FilterExpressionError,
  type FilterInstruction,
  type FilterProgram,
  LibpcapMissingError,
} from './libpcap.ts'
export { NodeUdpSocket, type NodeUdpSocketOptions } from './node-udp-socket.ts'
export { PacketRing, type PacketRingOptions, packetSocketsUnavailable } from './packet-ring.ts'
export { PacketSender } from './packet-sender.ts'
export { Poller } from './poller.ts'
export { RawSocket, type RawSocketOptions } from './raw-socket.ts'
export { allocateSharedMemory, openSharedMemory, type SharedMemoryHandle } from './shared-memory.ts'
export { addressOffset, addressText, familyAt, portAt, SOCKADDR_BYTES, scopeIdAt } from './socket-address.ts'
export { SocketFilter } from './socket-filter.ts'
export { SyscallError } from './syscall-error.ts'
export { TapDevice, type TapOptions } from './tap-device.ts'
export { UdpSender, type UdpSenderOptions } from './udp-sender.ts'
export { UdpSocket, type UdpSocketOptions } from './udp-socket.ts'
export { readUdpStatistics, type UdpStatistics } from './udp-statistics.ts'
export { sendUnixDatagram } from './unix-datagram.ts'
