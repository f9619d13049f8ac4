import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { addPeer, type Peer } from '../integration/mirrored-host.ts'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { fieldsOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const PROJECT = new URL('../../', import.meta.url).pathname
const DOCKER = join(PROJECT, 'docker')
const read = (file: string) => readFileSync(join(DOCKER, file), 'utf8')

interface Service {
  readonly build: { readonly context: string; readonly dockerfile: string; readonly target: string }
  readonly command: readonly string[]
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>
  readonly network_mode?: string
  readonly depends_on?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly privileged?: boolean
}

interface Compose {
  readonly services: Readonly<Record<'web' | 'client' | 'collector' | 'sender', Service>>
  readonly networks: Readonly<
    Record<string, { readonly ipam: { readonly config: readonly { readonly subnet: string }[] } }>
  >
}

const compose = parse(read('compose.yaml'), { merge: true }) as Compose
const services = Object.entries(compose.services)

test('every service is built from a stage that the Dockerfile has', () => {
  const stages = [...read('Dockerfile').matchAll(/^FROM \S+ AS (\w+)$/gm)].map(([, stage]) => stage)
  for (const [, { build }] of services) {
    expect(existsSync(join(DOCKER, build.context, build.dockerfile))).toBe(true)
    expect(stages).toContain(build.target)
  }
})

test('what the Dockerfile copies is there, and not ignored', () => {
  const sources = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) =>
    paths!.split(' '),
  )
  const allowed = read('Dockerfile.dockerignore').split('\n')
  expect(sources).toContain('src')
  for (const source of sources) {
    expect(existsSync(join(PROJECT, source))).toBe(true)
    expect(allowed).toContain(`!${source}`)
  }
})

test('addresses lie in the networks they are on, and nobody depends on who is not there', () => {
  const names = services.map(([name]) => name)
  for (const [, { networks = {}, network_mode: mode = '', depends_on: others = [] }] of services) {
    for (const [name, { ipv4_address: address }] of Object.entries(networks)) {
      const { subnet } = compose.networks[name]!.ipam.config[0]!
      expect(subnet).toBe(`${address.replace(/\.\d+$/, '.0')}/24`)
    }
    for (const name of others) expect(names).toContain(name)
    if (mode !== '') expect(names).toContain(mode.replace('service:', ''))
  }
})

test('only the sender has a capability, and the collector is not root', () => {
  for (const [name, service] of services) {
    expect(service.privileged).toBeUndefined()
    expect(service.cap_add ?? []).toEqual(name === 'sender' ? ['NET_ADMIN'] : [])
  }
  expect(compose.services.collector.cap_drop).toEqual(['ALL'])
  const stage = read('Dockerfile')
    .split(/^FROM /m)
    .find((text) => text.includes('AS collector'))
  expect(stage).toMatch(/^USER node$/m)
})

test('the README names every service and the compose file', () => {
  for (const [name] of services) expect(read('README.md')).toContain(name)
  expect(read('README.md')).toContain('docker compose -f docker/compose.yaml')
})

let folder = ''
let hosts: NamespacePair | undefined
let peer: Peer | undefined
let collector: Collector | undefined
afterEach(async () => {
  await collector?.dispose()
  peer?.dispose()
  hosts?.dispose()
  if (folder !== '') rmSync(folder, { recursive: true, force: true })
})

/** The words of a command, `$$` being compose's way to write `$`. */
const wordsOf = (name: keyof Compose['services']) =>
  compose.services[name].command.map((word) => word.replaceAll('$$', '$'))

requires(
  'root',
  'namespaces',
  'ip',
  'tc',
  'ethtool',
  'tshark',
  'setpriv',
  'build',
)(
  "the services' own commands, run in namespaces with their addresses and capabilities, bring the client's traffic to the collector",
  async () => {
    folder = mkdtempSync(join(tmpdir(), 'docker-'))
    hosts = joinedNamespaces()
    const { left: client, right } = hosts
    peer = addPeer(client, 1400)
    client.exec(['ip', 'address', 'add', '172.31.98.1/24', 'dev', peer.device])
    client.exec(['ip', 'address', 'add', '172.31.99.1/24', 'dev', client.device])
    right.exec(['ip', 'address', 'add', '172.31.99.2/24', 'dev', right.device])
    const inWeb = ['ip', 'netns', 'exec', peer.name]
    execFileSync('ip', ['-n', peer.name, 'address', 'add', '172.31.98.2/24', 'dev', 'uplink'])

    const options = wordsOf('collector').map((word) => word.replace('/captures', folder))
    collector = await startCollector(options, { namespace: right.name })
    client.spawn([...inWeb, ...wordsOf('web')])
    client.spawn(wordsOf('client'))
    const sender = join(folder, 'mirror-sender')
    writeFileSync(sender, `#!/bin/sh\nexec ${process.execPath} ${join(PROJECT, 'dist/bin/mirror-sender.js')} "$@"\n`)
    chmodSync(sender, 0o755)
    const limited = ['setpriv', '--bounding-set=-all,+net_admin', '--inh-caps=-all,+net_admin']
    const path = ['env', `PATH=${folder}:${process.env.PATH}`]
    expect(client.exec([...limited, ...path, ...wordsOf('sender')])).toContain('is mirrored (device')

    const running = collector
    await until('a whole conversation arrived', async () => (await running.statistics()).delivered >= 20)
    expect(await running.stop()).toBe(0)
    expectBalance(running.report())
    const [capture] = readdirSync(folder).filter((name) => name.endsWith('.pcap'))
    const answers = fieldsOf(join(folder, capture!), ['ip.src', 'ip.dst'], '-Y', 'http.response.code == 200')
    expect(answers).toContainEqual(['172.31.98.2', '172.31.98.1'])
  },
  60_000,
)
