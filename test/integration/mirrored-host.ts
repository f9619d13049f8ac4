import { execFileSync } from 'node:child_process'
import type { Namespace } from '../support/namespaces.ts'

/**
 * Not what hosts say by themselves, whenever they like: MLD (hop-by-hop options), neighbour discovery. Of two captures
 * that are to be the same, one begins a moment before the other.
 */
export const SENT_BY_TESTS = 'not (ip6[6] == 0 or (icmp6 and ip6[40] >= 130))'

/** Where a TCP checksum begins in a frame in hexadecimal, over IPv4 without options. */
export const CHECKSUM_FROM = 2 * (14 + 20 + 16)

/**
 * Frames in hexadecimal, in order, but for checksums of TCP: those that this host sends are computed behind tc, in a cut copy
 * of what is left.
 */
export function comparable(frames: readonly string[]): string[] {
  const isTcp = (bytes: string) => bytes.startsWith('08004', 24) && bytes.startsWith('06', 46)
  const mask = (bytes: string) => `${bytes.slice(0, CHECKSUM_FROM)}....${bytes.slice(CHECKSUM_FROM + 4)}`
  return frames.map((bytes) => (isTcp(bytes) ? mask(bytes) : bytes)).sort()
}

/** A host that the source host talks to, over an interface of the source that can be mirrored. */
export interface Peer {
  readonly name: string
  /** The source's interface towards the peer. */
  readonly device: string
  readonly ipv4: string
  readonly ipv6: string
  readonly sourceIpv4: string
  dispose(): void
}

const OFFLOADS = ['rx', 'tx', 'sg', 'tso', 'gso', 'gro', 'tx-udp-segmentation']

/** Makes a namespace with a peer host, joined to `source` by a cable with offloads off. */
export function addPeer(source: Namespace, mtu: number): Peer {
  const name = `${source.name}p`
  const run = (...argv: string[]) => execFileSync(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] })
  const inside = (namespace: string, ...argv: string[]) => run('ip', 'netns', 'exec', namespace, ...argv)
  const dispose = (): void => {
    process.removeListener('exit', dispose)
    execFileSync('sh', ['-c', `ip netns del ${name} 2>/dev/null || true`])
  }
  process.on('exit', dispose)
  run('ip', 'netns', 'add', name)
  run('ip', 'link', 'add', 'mirrored', 'netns', source.name, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', name)
  for (const [namespace, device, host] of [
    [source.name, 'mirrored', 1],
    [name, 'uplink', 2],
  ] as const) {
    inside(namespace, 'ip', 'link', 'set', device, 'addrgenmode', 'none')
    // Groups are reported at once, twice, not within two seconds: then one of two captures may have begun, and the other not.
    inside(namespace, 'sysctl', '-qw', `net.ipv6.conf.${device}.mldv2_unsolicited_report_interval=1`)
    inside(namespace, 'ip', 'link', 'set', device, 'mtu', String(mtu), 'up')
    inside(namespace, 'ip', 'link', 'set', 'lo', 'up')
    inside(namespace, 'ip', 'address', 'add', `10.98.0.${host}/24`, 'dev', device)
    inside(namespace, 'ip', 'address', 'add', `fd98::${host}/64`, 'dev', device, 'nodad')
    // Static neighbours: no probe comes between what a test sends.
    inside(namespace, 'ip', 'link', 'set', device, 'address', `02:00:00:00:01:0${host}`)
    for (const address of [`10.98.0.${3 - host}`, `fd98::${3 - host}`]) {
      const mac = `02:00:00:00:01:0${3 - host}`
      inside(namespace, 'ip', 'neighbour', 'replace', address, 'lladdr', mac, 'dev', device, 'nud', 'permanent')
    }
    inside(namespace, 'ethtool', '-K', device, ...OFFLOADS.flatMap((offload) => [offload, 'off']))
  }
  return { name, device: 'mirrored', ipv4: '10.98.0.2', ipv6: 'fd98::2', sourceIpv4: '10.98.0.1', dispose }
}

/** Mirrors both directions of the source's `device` into a vxlan device with VNI 100. */
export function mirror(source: Namespace, device: string, remote: string): void {
  const ip = (...args: string[]) => source.exec(['ip', ...args])
  const vxlan = ['type', 'vxlan', 'id', '100', 'remote', remote, 'dstport', '4789', 'dev', source.device]
  ip('link', 'add', 'vx100', ...vxlan)
  // Otherwise the device itself would speak inside the tunnel: neighbour and router solicitations, MLD.
  ip('link', 'set', 'vx100', 'addrgenmode', 'none')
  ip('link', 'set', 'vx100', 'arp', 'off', 'up')
  mirrorInto(source, device)
}

/** Mirrors both directions of another device into the vxlan device that mirror() made. */
export function mirrorInto(source: Namespace, device: string): void {
  const tc = (...args: string[]) => source.exec(['tc', ...args])
  tc('qdisc', 'add', 'dev', device, 'clsact')
  for (const direction of ['ingress', 'egress']) {
    const all = ['protocol', 'all', 'pref', '1', 'u32', 'match', 'u32', '0', '0']
    tc('filter', 'add', 'dev', device, direction, ...all, 'action', 'mirred', 'egress', 'mirror', 'dev', 'vx100')
  }
}

/** tcpdump on an interface, once it captures. */
export async function startTcpdump(
  host: Namespace,
  device: string,
  file: string,
  options: readonly string[] = [],
): Promise<{ stop(): Promise<void> }> {
  // Where offloads are on, libpcap keeps 64 KiB for each frame, and its usual buffer holds 32 of them.
  const buffer = ['-B', '32768']
  const always = ['-i', device, '-U', '--immediate-mode', '-s', '0', ...buffer, '-w', file]
  const child = host.spawn(['tcpdump', ...always, ...options])
  await new Promise<void>((resolve, reject) => {
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('listening on')) resolve()
    })
    child.once('exit', () => reject(new Error('tcpdump ended before it captured')))
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    stop: async () => {
      child.kill('SIGINT')
      await exited
    },
  }
}

const SERVERS = {
  tcp: `require('net').createServer(s=>{let n=0;s.on('data',d=>{n+=d.length;if(n>=+process.argv[1]){s.end();console.log(n);process.exit()}})}).listen(7000,()=>console.error('ready'))`,
  udp: `let n=0;const s=require('dgram').createSocket('udp4');s.on('message',m=>{n+=m.length;if(n>=+process.argv[1]){console.log(n);process.exit()}}).bind(7000,()=>console.error('ready'))`,
}
const CLIENTS = {
  tcp: `require('net').connect(7000,process.argv[2]).end(Buffer.alloc(+process.argv[1],'t')).resume()`,
  udp: `const s=require('dgram').createSocket('udp4');let left=+process.argv[1];(function next(){if(left<=0)return s.close();left-=1000;s.send(Buffer.alloc(1000,'u'),7000,process.argv[2],next)})()`,
}

/** Sends bytes from the source host to its peer, and tells how many arrived. */
export async function receiveBytes(
  source: Pick<Namespace, 'spawn'>,
  peer: Peer,
  protocol: 'tcp' | 'udp',
  bytes: number,
): Promise<number> {
  const node = [process.execPath, '-e']
  const server = source.spawn(['ip', 'netns', 'exec', peer.name, ...node, SERVERS[protocol], String(bytes)])
  let printed = ''
  server.stdout!.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  await new Promise<void>((resolve) => server.stderr!.once('data', () => resolve()))
  const closed = new Promise<void>((resolve) => server.once('close', () => resolve()))
  source.spawn([...node, CLIENTS[protocol], String(bytes), peer.ipv4])
  await closed
  return Number(printed)
}
