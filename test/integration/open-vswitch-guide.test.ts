import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { until } from '../support/waiting.ts'
import { addPeer, type Peer } from './mirrored-host.ts'
import { OpenVswitch } from './open-vswitch.ts'

const it = requires('root', 'namespaces', 'ip', 'ethtool', 'ovs-vsctl', 'build')
const GUIDE = new URL('../../config/guides/open-vswitch.md', import.meta.url).pathname

let folder = ''
let hosts: NamespacePair
let peer: Peer | undefined
let collector: Collector | undefined
let vswitch: OpenVswitch | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ovs-guide-'))
  hosts = joinedNamespaces()
})
afterEach(async () => {
  await collector?.dispose()
  await vswitch?.dispose()
  peer?.dispose()
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

it("the guide's commands, as they stand there, mirror to the collector's, and take the mirror away", async () => {
  const { left: source, right } = hosts
  const [setUp, takeDown, collect] = [...readFileSync(GUIDE, 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)].map(
    ([, code]) => code!.replaceAll('10.9.0.2', right.ipv4),
  )
  const options = /^mirror-collector (.*) --out pcap$/m.exec(collect!)![1]!.split(' ')
  const running = await startCollector([...options, '--out', 'null'], { namespace: right.name })
  collector = running
  vswitch = await OpenVswitch.start(source, folder)
  vswitch.addUnderlay(right)
  peer = addPeer(source, 1400)
  vswitch.bridge(peer)
  const shell = (code: string) => source.exec(['env', `OVS_RUNDIR=${folder}`, 'sh', '-ec', code])

  shell(setUp!)
  source.exec(['ping', '-q', '-i', '0.02', '-c', '10', peer.ipv4])
  await until('both directions arrived', async () => (await running.statistics()).delivered >= 20)
  expect((await running.statistics()).vnis).toHaveProperty('100')
  shell(takeDown!)
  expect(shell('ovs-vsctl list mirror').trim()).toBe('')
  expect(shell('ovs-vsctl list-ports br0')).not.toContain('mirror0')
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
})
