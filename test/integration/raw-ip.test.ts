import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { Collector, expectBalance } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'
import { fieldsOf, output } from '../support/tshark.ts'

const it = requires('build', 'scapy', 'tshark', 'capinfos', 'libpcap')

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'raw-ip-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** GRE with IPv4, IPv6, Ethernet and ARP inside, as scapy writes it into a capture file. */
function mixedCapture(): string {
  const file = join(folder, 'mixed.pcap')
  scapyLines(`
outer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2")
wrpcap(${JSON.stringify(file)}, [
    outer / GRE(key_present=1, key=7) / IP(src="10.1.0.1", dst="10.1.0.2") / UDP(sport=40000, dport=40001) / Raw(b"four"),
    outer / GRE(key_present=1, key=7) / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=40000, dport=40001) / Raw(b"six"),
    outer / GRE(key_present=1, key=7, proto=0x6558) / Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04") / IP(src="10.1.0.3", dst="10.1.0.4") / UDP(sport=40000, dport=40001),
    outer / GRE(key_present=1, key=7, proto=0x0806) / ARP(psrc="10.1.0.5", pdst="10.1.0.6"),
])
`)
  return file
}

it('pcapng has bare IP packets and Ethernet frames side by side; pcap has the former, and says so', async () => {
  const [pcapng, pcap, filtered] = ['out.pcapng', 'out.pcap', 'filtered.pcapng'].map((name) => join(folder, name))
  const sinks = [
    `pcapng:${pcapng}`,
    `pcap:${pcap}`,
    `pcapng:${filtered}?filter=src host 2001:db8::1 or src host 10.1.0.3`,
  ].flatMap((sink) => ['--out', sink])
  const collector = new Collector(['decap', mixedCapture(), '--ip-frames', 'raw', ...sinks])
  try {
    expect(await collector.exit()).toBe(0)
    const protocols = (file = '') => fieldsOf(file, ['frame.interface_id', 'frame.protocols', 'ip.src', 'ipv6.src'])
    expect(protocols(pcapng).map((fields) => fields.slice(0, 2))).toEqual([
      ['0', 'raw:ip:udp:data'],
      ['0', 'raw:ipv6:udp:data'],
      ['1', 'eth:ethertype:ip:udp'],
      ['1', 'eth:ethertype:arp'],
    ])
    expect(protocols(pcap).map((fields) => fields[1])).toEqual(['raw:ip:udp:data', 'raw:ipv6:udp:data'])
    expect(protocols(filtered).map((fields) => fields[1])).toEqual(['raw:ipv6:udp:data', 'eth:ethertype:ip:udp'])
    expect(output('capinfos', '-E', pcap!)).toContain('Raw IP')
    expectBalance(collector.report())
    expect(collector.report().sinks.map(({ written, dropped }) => [written, dropped])).toEqual([
      [4, {}],
      [2, { 'link-type': 2 }],
      [2, { 'not-selected': 2 }],
    ])
    const said = collector.log.filter(({ msg }) => String(msg).includes('takes bare IP packets only'))
    expect(said.length).toBe(1)
  } finally {
    await collector.dispose()
  }
})
