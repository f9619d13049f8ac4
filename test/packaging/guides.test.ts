import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { parseMirrorOptions } from '../../src/config/sender-options.ts'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'

const GUIDES = new URL('../../config/guides/', import.meta.url).pathname
const names = readdirSync(GUIDES).filter((name) => name.endsWith('.md'))
const read = (name: string) => readFileSync(join(GUIDES, name), 'utf8')

/** Lines of code that run this command. */
function commands(command: string): string[] {
  const blocks = names.flatMap((name) => [...read(name).matchAll(/```sh\n([\s\S]*?)```/g)].map(([, code]) => code!))
  return blocks.flatMap((code) => code.split('\n')).filter((line) => line.startsWith(`${command} `))
}

const optionsIn = (line: string) => [...line.matchAll(/(?<= )--[a-z][a-z-]*/g)].map(([option]) => option)

interface Container {
  readonly args?: readonly string[]
  readonly command?: readonly string[]
  readonly securityContext: { readonly capabilities: { readonly add?: readonly string[] } }
}
const manifests = parseAllDocuments(read('kubernetes.yaml')).map((document) => {
  expect(document.errors).toEqual([])
  return document.toJS() as {
    readonly kind: string
    readonly spec: {
      readonly clusterIP?: string
      readonly ports?: readonly { readonly port: number }[]
      readonly template?: { readonly spec: { readonly containers: readonly Container[] } }
    }
  }
})
const containerOf = (kind: string) =>
  manifests.find((manifest) => manifest.kind === kind)!.spec.template!.spec.containers[0]!

test.each(names)('links of %s lead to files', (name) => {
  const targets = [...read(name).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, target]) => target!)
  expect(targets.filter((target) => !existsSync(join(dirname(join(GUIDES, name)), target)))).toEqual([])
})

test('every guide is in the table, and tells what to look at when nothing arrives', () => {
  for (const name of names) {
    expect(read(name)).toContain('## When nothing arrives')
    if (name !== 'README.md') expect(read('README.md')).toContain(`](${name})`)
  }
})

requires('build')("the collector has every option of the guides' commands", () => {
  const help = execFileSync(process.execPath, [BUILT_COMMAND, '--help'], { encoding: 'utf8' })
  const lines = [...commands('mirror-collector'), ` ${containerOf('Deployment').args!.join(' ')}`]
  expect(lines.length).toBeGreaterThan(6)
  for (const option of lines.flatMap(optionsIn)) expect(help).toMatch(new RegExp(`${option}[ ,]`))
})

test('in Kubernetes the sender sends what the collector takes, and has one capability', () => {
  const script = containerOf('DaemonSet').command![2]!
  const words = /^\s*mirror-sender up (.*) \|\| exit$/m.exec(script)![1]!.match(/'[^']*'|\S+/g)!
  const pairs = words.flatMap((word, i) => (i % 2 === 0 ? [[word.slice(2), words[i + 1]!.replaceAll("'", '')]] : []))
  const mirror = parseMirrorOptions(Object.fromEntries(pairs))
  const { clusterIP, ports } = manifests.find(({ kind }) => kind === 'Service')!.spec
  expect(mirror).toMatchObject({ collector: clusterIP, port: ports![0]!.port, vni: 100 })
  expect(containerOf('Deployment').args).toContain(`--listen=vxlan://:${mirror.port}`)
  expect(containerOf('Deployment').args).toContain(`--vni=${mirror.vni}`)
  expect(containerOf('DaemonSet').securityContext.capabilities.add).toEqual(['NET_ADMIN'])
  expect(containerOf('Deployment').securityContext.capabilities.add).toBeUndefined()
})
