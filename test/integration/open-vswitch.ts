import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Namespace } from '../support/namespaces.ts'
import { until } from '../support/waiting.ts'
import type { Peer } from './mirrored-host.ts'

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'
const UNDERLAY = 'br-under'
const BRIDGE = 'br0'
const STATION_MAC = '02:00:00:00:01:01'

/**
 * Open vSwitch with its userspace datapath, which needs no kernel module, as the switch of a host: between the host's own
 * stack and a peer, and on the cable to the collector. Its own database, sockets and processes.
 */
export class OpenVswitch {
  readonly #host: Namespace
  readonly #folder: string
  readonly #processes: ChildProcess[] = []
  #mirrors = 0

  private constructor(host: Namespace, folder: string) {
    this.#host = host
    this.#folder = folder
  }

  static async start(host: Namespace, folder: string): Promise<OpenVswitch> {
    const vswitch = new OpenVswitch(host, folder)
    const database = join(folder, 'conf.db')
    host.exec(['ovsdb-tool', 'create', database, SCHEMA])
    await vswitch.#run('ovsdb-server', [database, `--remote=punix:${vswitch.#socket}`], vswitch.#socket)
    vswitch.#vsctl('--no-wait', 'init')
    await vswitch.#run(
      'ovs-vswitchd',
      [`unix:${vswitch.#socket}`, '--disable-system'],
      vswitch.#control('ovs-vswitchd'),
    )
    return vswitch
  }

  /** The cable to the collector becomes a port of a bridge that has the host's addresses: tunnels leave through it. */
  addUnderlay(collector: Namespace): void {
    const { device, ipv4, ipv6, mac } = this.#host
    this.#addBridge(UNDERLAY, device, mac)
    this.#host.exec(['ip', 'address', 'flush', 'dev', device])
    this.#host.exec(['ip', 'link', 'set', UNDERLAY, 'mtu', '1600'])
    this.#address(UNDERLAY, ipv4, ipv6)
    for (const address of [collector.ipv4, collector.ipv6]) {
      this.#appctl('tnl/neigh/set', UNDERLAY, address, collector.mac)
    }
  }

  /** The host's cable to the peer becomes a port of a bridge that has the host's address there. Gives the port. */
  bridge(peer: Peer): string {
    this.#addBridge(BRIDGE, peer.device, STATION_MAC)
    this.#host.exec(['ip', 'address', 'flush', 'dev', peer.device])
    this.#address(BRIDGE, peer.sourceIpv4, 'fd98::1')
    for (const address of [peer.ipv4, peer.ipv6]) {
      const neighbour = [address, 'lladdr', '02:00:00:00:01:02', 'dev', BRIDGE, 'nud', 'permanent']
      this.#host.exec(['ip', 'neighbour', 'replace', ...neighbour])
    }
    return peer.device
  }

  /** Copies what comes in and goes out at a port into a tunnel. */
  mirror(port: string, name: string, tunnel: readonly string[]): void {
    this.#mirrors++
    const select = [`name=mirror${this.#mirrors}`, 'select-dst-port=@port', 'select-src-port=@port', 'output-port=@out']
    this.#vsctl('add-port', BRIDGE, name, '--', 'set', 'interface', name, ...tunnel)
    const ports = ['--id=@port', 'get', 'port', port, '--', '--id=@out', 'get', 'port', name]
    const mirror = ['--id=@mirror', 'create', 'mirror', ...select]
    this.#vsctl(...ports, '--', ...mirror, '--', 'add', 'bridge', BRIDGE, 'mirrors', '@mirror')
  }

  /** Ends its processes, and with them their devices. */
  async dispose(): Promise<void> {
    for (const child of this.#processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    }
  }

  get #socket(): string {
    return join(this.#folder, 'db.sock')
  }

  #control(program: string): string {
    return join(this.#folder, `${program}.ctl`)
  }

  async #run(program: string, args: readonly string[], ready: string): Promise<void> {
    const folders = ['OVS_RUNDIR', 'OVS_LOGDIR', 'OVS_DBDIR'].map((name) => `${name}=${this.#folder}`)
    const always = ['--no-chdir', `--unixctl=${this.#control(program)}`, '-vconsole:warn']
    const child = this.#host.spawn(['env', ...folders, program, ...args, ...always])
    this.#processes.push(child)
    child.stdout!.resume()
    child.stderr!.resume()
    await until(`${program} is there`, () => existsSync(ready))
  }

  #addBridge(bridge: string, port: string, mac: string): void {
    const settings = ['datapath_type=netdev', 'fail_mode=standalone', `other-config:hwaddr="${mac}"`]
    this.#vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, ...settings, '--', 'add-port', bridge, port)
    this.#host.exec(['ip', 'link', 'set', bridge, 'addrgenmode', 'none'])
    this.#host.exec(['ip', 'link', 'set', bridge, 'up'])
  }

  #address(device: string, ipv4: string, ipv6: string): void {
    this.#host.exec(['ip', 'address', 'add', `${ipv4}/24`, 'dev', device])
    this.#host.exec(['ip', 'address', 'add', `${ipv6}/64`, 'dev', device, 'nodad'])
  }

  #vsctl(...args: string[]): void {
    this.#host.exec(['ovs-vsctl', '--timeout=20', `--db=unix:${this.#socket}`, ...args])
  }

  #appctl(...args: string[]): void {
    this.#host.exec(['ovs-appctl', '-t', this.#control('ovs-vswitchd'), ...args])
  }
}
