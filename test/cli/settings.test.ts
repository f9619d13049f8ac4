import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fileSchemaText } from '../../src/cli/file-schema.ts'
import type { Given } from '../../src/cli/option-file.ts'
import { settingsText } from '../../src/cli/print-settings.ts'
import { collectTable } from '../../src/cli/program.ts'
import { readSettings, type Settings, variableOf } from '../../src/cli/settings.ts'
import { type CollectOptions, collectOptions, parseOptions } from '../../src/config/schema.ts'
import { Failure } from '../../src/config/terms/failure.ts'

const config = (name: string) => new URL(`../../config/${name}`, import.meta.url).pathname
const table = collectTable()

let folder = ''
let path = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'))
  path = join(folder, 'a.yaml')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function settings(text: string, flags: Given = {}, environment: Record<string, string> = {}): Settings {
  writeFileSync(path, text)
  return readSettings({ options: table, fileOptions: table, flags: { config: path, ...flags }, environment })
}

function given(...args: Parameters<typeof settings>): Given {
  return settings(...args).given
}

function parse(read: Settings): CollectOptions {
  return parseOptions(collectOptions, read.given, read)
}

function refusal(action: () => unknown): Failure {
  try {
    action()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('the example is a configuration, and with every line in it that is a comment it has every option', () => {
  const text = readFileSync(config('mirror-collector.yaml'), 'utf8')
  const example = settings(text)
  expect(parse(example).out[0]).toMatchObject({ type: 'pcap' })
  const whole = settings(text.replace(/^( *)# (?!yaml-l)(?=[a-z-]+: |- type| {2}[a-z]+: )/gm, '$1'))
  const options = parse(whole)
  expect(options.out.map(({ type }) => type)).toEqual(['pcap', 'pcapng'])
  expect(options.out[1]).toMatchObject({ filter: 'tcp port 443', queue: 64 << 20, wanted: [{ from: 100, to: 199 }] })
  expect(options).toMatchObject({ depth: 2, count: 1_000_000, quiet: true, sample: 100, engine: 'auto' })
  const missing = table.filter((option) => option.name() !== 'config' && !(option.attributeName() in whole.given))
  expect(missing.map((option) => option.name())).toEqual([])
})

test('the JSON schema for editors is current; if not: npm run generate', () => {
  expect(readFileSync(config('mirror-collector.schema.json'), 'utf8')).toBe(fileSchemaText())
})

test('the command line overrides the environment, and that the file', () => {
  const text = 'vni: 1\nsnaplen: 100\nallow-from: 10.0.0.0/8\nout: "null"\n'
  const environment = { MIRROR_COLLECTOR_VNI: '2', MIRROR_COLLECTOR_SNAPLEN: '200' }
  expect(given(text, { vni: '3' }, environment)).toEqual({
    vni: '3',
    snaplen: '200',
    allowFrom: '10.0.0.0/8',
    out: ['null'],
  })
})

test('every option has a variable of its own', () => {
  const variables = table.map(variableOf)
  expect(new Set(variables).size).toBe(table.length)
  expect(variables).toContain('MIRROR_COLLECTOR_ALLOW_FROM')
})

test('a variable may name the file, has true and false, one value a line, and is not there when empty', () => {
  writeFileSync(path, 'vni: 7')
  const environment = {
    MIRROR_COLLECTOR_CONFIG: path,
    MIRROR_COLLECTOR_STRICT: 'yes',
    MIRROR_COLLECTOR_QUIET: '0',
    MIRROR_COLLECTOR_OUT: 'pcap:a b.pcap\nnull',
    MIRROR_COLLECTOR_FILTER: '',
    // What Kubernetes sets for a service of this name.
    MIRROR_COLLECTOR_PORT: 'udp://10.0.0.1:4789',
  }
  expect(readSettings({ options: table, fileOptions: table, flags: {}, environment }).given).toEqual({
    vni: '7',
    strict: true,
    quiet: false,
    out: ['pcap:a b.pcap', 'null'],
  })
})

test('a variable that is no option’s is told, with the nearest; what Kubernetes sets is not', () => {
  const environment = {
    MIRROR_COLLECTOR_SNAPLN: '3',
    MIRROR_COLLECTOR_SNAPLEN: '96',
    MIRROR_COLLECTOR_COLOUR: 'red',
    MIRROR_COLLECTOR_VNIS: '',
    MIRROR_COLLECTOR_CONFIG: '',
    MIRROR_COLLECTORS: '2',
    MIRROR_COLLECTOR_PORT: 'udp://10.0.0.1:4789',
    MIRROR_COLLECTOR_PORT_4789_UDP: 'udp://10.0.0.1:4789',
    MIRROR_COLLECTOR_PORT_4789_UDP_PROTO: 'udp',
    MIRROR_COLLECTOR_SERVICE_HOST: '10.0.0.1',
    MIRROR_COLLECTOR_SERVICE_PORT: '4789',
    MIRROR_COLLECTOR_SERVICE_PORT_VXLAN: '4789',
  }
  const read = readSettings({ options: table, fileOptions: table, flags: {}, environment })
  expect(read.given).toEqual({ snaplen: '96' })
  expect(read.warnings).toEqual([
    "MIRROR_COLLECTOR_SNAPLN is no option's variable and is ignored; the nearest is MIRROR_COLLECTOR_SNAPLEN.",
    "MIRROR_COLLECTOR_COLOUR is no option's variable and is ignored.",
  ])
})

test.each<[string, Given]>([
  ['', {}],
  ['# nothing\n', {}],
  ['vni: [100, 200-299, "!250"]', { vni: '100,200-299,!250' }],
  ['vni: 0100', { vni: '0100' }],
  ['ethernet-source: 02:00:00:00:00:01', { ethernetSource: '02:00:00:00:00:01' }],
  ['listen: :4789', { listen: [':4789'] }],
  ['listen: [":4789", "geneve://:6081"]', { listen: [':4789', 'geneve://:6081'] }],
  ['out: {type: pcap}', { out: ['pcap'] }],
  ['out: null', { out: ['null'] }],
  ['out: ~', { out: ['null'] }],
  ['out:\n  - pcap:a.pcap\n  - null\n  - {type: null, vni: 5}\n', { out: ['pcap:a.pcap', 'null', 'null?vni=5'] }],
  ['x: &sink null\nout: [*sink]\n', { out: ['null'] }],
  ['out: [{type: tap, target: ids0, persist: yes}]', { out: ['tap:ids0?persist=yes'] }],
  [
    'out: {type: pcap, target: a%b.pcap, filter: "tcp[13] & 2 != 0"}',
    { out: ['pcap:a%b.pcap?filter=tcp[13] %26 2 != 0'] },
  ],
  ['filter: >\n  tcp port 443\n  or udp\n', { filter: 'tcp port 443 or udp' }],
  ['x: &net 10.0.0.0/8\nallow-from: [*net]\n', { allowFrom: '10.0.0.0/8' }],
])('%j is %j', (text, expected) => {
  expect(given(text)).toEqual(expected)
})

test('a file without end is refused', () => {
  const action = () =>
    readSettings({ options: table, fileOptions: table, flags: { config: '/dev/zero' }, environment: {} })
  expect(refusal(action)).toMatchObject({ exitCode: 78, message: '/dev/zero is larger than 1 MiB.' })
}, 10_000)

test('of many problems the first are told, soon', () => {
  const text = Array.from({ length: 5000 }, (_, i) => `key${i}: 1`).join('\n')
  const lines = refusal(() => parse(settings(text))).message.split('\n')
  expect(lines).toHaveLength(21)
  expect(lines.at(-1)).toBe('... and 4981 more')
}, 10_000)

test.each([
  ['"a\\nb": 1', /^[^\n]*:1:9: "a\\nb" is no option$/m],
  ['headers: x', /:1:10: headers: is none of l2, l3, l4$/],
  [`out: ${'['.repeat(5000)}${']'.repeat(5000)}`, /:1:\d+: it is nested too deeply\.$/],
])('%.20s is told in our words', (text, expected) => {
  expect(refusal(() => parse(settings(text))).message).toMatch(expected)
})

test('all that is wrong is told at once, with line and column, or where else it stands', () => {
  const text = [
    'snapln: 5',
    'strict: maybe',
    'filter:',
    'vni: x',
    'out:',
    '  - nul',
    '  - {type: pcap, target: a, rotat: 1h}',
    '  - type: pcap',
    '    rotate: 5',
    'fcs: often',
  ].join('\n')
  const environment = { MIRROR_COLLECTOR_BUFFER: '5', MIRROR_COLLECTOR_FIX_CHECKSUMS: 'perhaps' }
  const failure = refusal(() => parse(settings(text, { count: '0' }, environment)))
  expect(failure.exitCode).toBe(78)
  const lines = failure.message.replaceAll(path, 'FILE').split('\n')
  for (const [place, what] of [
    ['FILE:1:9: ', '"snapln" is no option; the nearest is "snaplen"'],
    ['FILE:2:9: ', 'strict is neither true nor false'],
    ['FILE:3:', 'filter has no value'],
    ['FILE:4:6: vni: ', '"x" is neither'],
    ['FILE:6:5: out: ', '"nul" names no kind of sink'],
    ['FILE:7:36: out: ', 'pcap has no setting "rotat"; the nearest is "rotate"'],
    ['FILE:9:13: out: ', 'rotate: "5" is neither'],
    ['FILE:10:6: fcs: ', ''],
    ['MIRROR_COLLECTOR_BUFFER: ', '"5" is not a size'],
    ['MIRROR_COLLECTOR_FIX_CHECKSUMS: ', '"perhaps" is neither'],
    ['--count: ', '"0" is not a whole number'],
  ] as const) {
    const found = lines.filter((line) => line.startsWith(place) && line.includes(what))
    expect(found, `${place}${what} in\n${failure.message}`).toHaveLength(1)
  }
  expect(lines).toHaveLength(11)
})

test.each([
  ['vni: "1\nout: [', 78, /a\.yaml:2:\d+: /],
  ['vni: 1\nvni: 2\n', 78, /a\.yaml:2:1: /],
  ['- a\n- b\n', 78, /it is no list of options/],
  ['out: [[pcap]]\n', 78, /out has no value/],
  ['out:\n', 78, /out has no value/],
  ['out:\n  - null\n  -\n', 78, /out has no value/],
  ['out: {type: pcap, target: null}\n', 78, /no value at "target"/],
  ['listen: null\n', 78, /listen has no value/],
  ['filter: null\n', 78, /filter has no value/],
  ['out: {target: a}\n', 78, /a mapping without "type"/],
  ['out: {type: pcap, target: "a?b"}\n', 78, /in the wrong place/],
  ['config: b.yaml\n', 78, /"config" is no option/],
])('%j is refused with %i: %s', (text, exitCode, what) => {
  const failure = refusal(() => parse(settings(text)))
  expect(failure.exitCode).toBe(exitCode)
  expect(failure.message).toMatch(what)
  expect(failure.mend).not.toBe('')
})

test('what is wrong on the command line alone stays a matter of usage; a file that is not there is no input', () => {
  const wrong = settings('out: "null"', { vni: 'x' })
  expect(refusal(() => parse(wrong))).toMatchObject({ exitCode: 64 })
  const missing = () => settings('', { config: join(folder, 'none.yaml') })
  expect(refusal(missing).exitCode).toBe(66)
})

test('what is printed says where each value comes from, and read again is the same', () => {
  const text = 'vni: [1, "!2"]\nout:\n  - {type: pcap, target: a.pcap, filter: "tcp & udp: x # y"}\n  - "null"\n'
  const first = settings(text, { snaplen: '96' }, { MIRROR_COLLECTOR_STRICT: 'true' })
  const printed = settingsText(first, table)
  expect(printed).toContain('# --snaplen\nsnaplen: "96"\n')
  expect(printed).toContain('# MIRROR_COLLECTOR_STRICT\nstrict: true\n')
  expect(printed).toContain(`# ${path}:1:6\nvni: 1,!2\n`)
  expect(printed).toContain('# default\nbuffer: 64MiB\n')
  const again = settings(printed)
  expect(again.problems).toEqual([])
  expect(again.given).toMatchObject(first.given)
})
