import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { runCommand } from '../support/command.ts'
import { requires } from '../support/requirements.ts'

const DOCKER = new URL('../../docker/', import.meta.url).pathname

interface Service {
  readonly command?: readonly string[]
  readonly depends_on?: readonly string[]
  readonly network_mode?: string
  readonly volumes?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly networks?: { readonly mirror?: { readonly ipv4_address: string } }
  readonly environment?: Readonly<Record<string, string>>
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, unknown>>
}

const read = (file: string) => parse(readFileSync(join(DOCKER, file), 'utf8'), { merge: true }) as Compose
const base = read('compose.yaml')
const examples = ['compose.kafka.yaml', 'compose.ids.yaml']

test.each(examples)('%s fits the playground: services, volumes, files and addresses', (file) => {
  const { services, volumes = {} } = read(file)
  const names = [...Object.keys(base.services), ...Object.keys(services)]
  const taken = Object.values(base.services).flatMap(({ networks }) => networks?.mirror?.ipv4_address ?? [])
  for (const service of Object.values(services)) {
    for (const other of service.depends_on ?? []) expect(names).toContain(other)
    if (service.network_mode !== undefined) expect(names).toContain(service.network_mode.replace('service:', ''))
    for (const volume of service.volumes ?? []) {
      const [from] = volume.split(':')
      if (from!.startsWith('.')) expect(existsSync(join(DOCKER, from!))).toBe(true)
      else expect(Object.keys(volumes)).toContain(from)
    }
    const address = service.networks?.mirror?.ipv4_address
    if (address !== undefined) {
      expect(address).toMatch(/^172\.31\.99\./)
      expect(taken).not.toContain(address)
      taken.push(address)
    }
  }
})

requires('build').each(examples)('every collector of %s has options that are understood', (file) => {
  const collectors = Object.values(read(file).services).filter(({ command }) =>
    command?.some((word) => word.startsWith('--out')),
  )
  expect(collectors.length).toBeGreaterThan(0)
  for (const { command } of collectors) {
    const ended = runCommand(['check', '--print', ...command!])
    expect({ exitCode: ended.exitCode, lines: ended.lines }).toMatchObject({ exitCode: 0 })
  }
})

test('the collector and the archive speak to the broker at the address that it tells', () => {
  const { collector, kafka, archive } = read('compose.kafka.yaml').services
  const broker = `${kafka!.networks!.mirror!.ipv4_address}:9092`
  expect(kafka!.environment!.KAFKA_ADVERTISED_LISTENERS).toBe(`PLAINTEXT://${broker}`)
  expect(collector!.command!.join(' ')).toContain(`kafka:${broker}/mirror`)
  expect(archive!.command!.join(' ')).toContain(`kafka:${broker}/mirror`)
})
