import { UdpSocket } from '../../src/dgram-extended/udp-socket.ts'

const socket = UdpSocket.open({ address: '127.0.0.1', port: 0, receiveBuffer: Number(process.argv[2]) })
process.stdout.write(`${socket.receiveBufferBytes} ${socket.receiveBufferForced}\n`)
socket.close()
