import { describe, expect, test } from 'vitest'
import { collectOptions, decapOptions, LOG_LEVELS, parseOptions } from '../../src/config/schema.ts'
import { failureOf, refusal } from './refusal.ts'

const collect = { out: ['null'] }
const decap = { out: ['null'], file: 'a.pcap' }

test('collecting needs a sink, and has defaults for all else', () => {
  const { out, ...rest } = parseOptions(collectOptions, collect)
  expect(out.map(({ type }) => type)).toEqual(['null'])
  expect(rest).toEqual({
    listen: [{ encapsulation: 0, host: undefined, port: 4789 }],
    buffer: 64 << 20,
    vni: [],
    workers: 1,
    allowFrom: [],
    strict: false,
    greKeyMode: 'key',
    snaplen: 262_144,
    timestamps: 'arrival',
    ipFrames: 'ethernet',
    fcs: 'keep',
    fixChecksums: false,
    count: Number.POSITIVE_INFINITY,
    logLevel: 'info',
    quiet: false,
  })
})

test('reading a file needs a file, and listens for every tunnel', () => {
  const { file, listen } = parseOptions(decapOptions, decap)
  expect([file, listen]).toEqual(['a.pcap', []])
  expect(refusal(decapOptions, collect).what).toContain('--file')
})

test.each([
  ['allowFrom', '10.0.0.0/8, 2001:db8::1', ['10.0.0.0/8', '2001:db8::1']],
  ['vni', '5', [{ from: 5, to: 5, deny: false }]],
  ['snaplen', '96', 96],
  ['count', '10', 10],
  ['duration', '60s', 60_000],
  ['stats', '10s', 10_000],
  ['report', '-', '-'],
  ['strict', true, true],
  ['ethernetSource', '02:00:00:00:00:0a', Uint8Array.of(2, 0, 0, 0, 0, 10)],
  ['ethernetDestination', '02-00-00-00-00-FF', Uint8Array.of(2, 0, 0, 0, 0, 255)],
  ['timestamps', 'source', 'source'],
  ['ipFrames', 'raw', 'raw'],
  ['fcs', 'auto', 'auto'],
  ['headers', 'l3', 'l3'],
  ['fixChecksums', true, true],
  ['quiet', true, true],
])('both commands take %s', (key, given, value) => {
  expect(parseOptions(collectOptions, { ...collect, [key]: given })).toMatchObject({ [key]: value })
  expect(parseOptions(decapOptions, { ...decap, [key]: given })).toMatchObject({ [key]: value })
})

test.each([
  ['engine', 'udp', 'udp'],
  ['engine', 'dgram', 'dgram'],
  ['buffer', '1MiB', 1 << 20],
])('collecting takes %s %s', (key, given, value) => {
  expect(parseOptions(collectOptions, { ...collect, [key]: given })).toMatchObject({ [key]: value })
})

test.each(LOG_LEVELS)('the log level may be %s', (logLevel) => {
  expect(parseOptions(collectOptions, { ...collect, logLevel }).logLevel).toBe(logLevel)
})

describe.each([
  ['collecting', collectOptions, collect],
  ['reading a file', decapOptions, decap],
])('%s refuses in one line, and says in another how to mend it,', (_name, schema, sound) => {
  test.each([
    ['out', [], '--out: '],
    ['out', ['nul'], '--out: "nul" names no kind of sink'],
    ['vni', 'x', '--vni: "x" is neither an identifier nor a range'],
    ['allowFrom', '10.0.0.0/33', '--allow-from: "10.0.0.0/33" is not an IPv4 or IPv6 address or prefix'],
    ['allowFrom', '', '--allow-from: "" is not'],
    ['allowFrom', '10.0.0.1,,10.0.0.2', '--allow-from: "" is not'],
    ['snaplen', '0', '--snaplen: "0" is not a whole number above 0'],
    ['snaplen', '262145', '--snaplen: is above 262144'],
    ['count', '1.5', '--count: "1.5" is not a whole number above 0'],
    ['duration', '60', '--duration: "60" is not a duration'],
    ['stats', '10', '--stats: "10" is not a duration'],
    ['listen', [':1'], '--listen: port 1 belongs to no encapsulation'],
    ['logLevel', 'loud', '--log-level: '],
    ['strict', 'yes', '--strict: '],
    ['colour', 'red', '"colour"'],
  ])('%s %j', (key, given, what) => {
    expect(refusal(schema, { ...sound, [key]: given }).what).toContain(what)
  })
})

test.each([
  ['engine', 'rings', '--engine: '],
  ['buffer', '64', '--buffer: "64" is not a size'],
])('collecting refuses %s %s', (key, given, what) => {
  expect(refusal(collectOptions, { ...collect, [key]: given }).what).toContain(what)
})

test('no packet is taken twice: a raw socket at any address gets a copy of what another gets', () => {
  const listening = (...listen: string[]) => ({ ...collect, listen })
  for (const listen of [
    ['gre://', 'gre://10.0.0.1'],
    ['gre://0.0.0.0', 'gre://10.0.0.1'],
    ['gre://', 'gre://[::]'],
  ])
    expect(refusal(collectOptions, listening(...listen)).what).toContain('--listen: an IP protocol at any address')
  expect(refusal(collectOptions, listening('gre://', 'gre://')).what).toContain('--listen: ')
  for (const listen of [
    ['gre://10.0.0.1', 'gre://10.0.0.2'],
    ['gre://0.0.0.0', 'gre://[::]', ':4789', 'vxlan://:47'],
  ])
    expect(parseOptions(collectOptions, listening(...listen)).listen).toHaveLength(listen.length)
})

test('a depth is a number of tunnels, or all there are', () => {
  expect(parseOptions(decapOptions, { ...decap, depth: '3' }).depth).toBe(3)
  expect(parseOptions(collectOptions, { ...collect, depth: 'max' }).depth).toBe(Number.POSITIVE_INFINITY)
  for (const depth of ['0', '-1', '1.5', 'all', ''])
    expect(refusal(decapOptions, { ...decap, depth }).what).toContain('--depth')
})

test('a file has no receive buffer and no engine', () => {
  expect(refusal(decapOptions, { ...decap, buffer: '1MiB' }).what).toContain('"buffer"')
  expect(refusal(decapOptions, { ...decap, engine: 'udp' }).what).toContain('"engine"')
})

test('all that is wrong with a command line is told at once', () => {
  const failure = failureOf(collectOptions, {
    out: ['nul', 'pcap?rotate=5&keep=0', 'null'],
    vni: 'x',
    listen: [':1', ':4789'],
    snaplen: 'many',
  })
  const lines = failure.message.split('\n')
  expect(lines.map((line) => line.split(':')[0]).sort()).toEqual([
    '--listen',
    '--out',
    '--out',
    '--out',
    '--snaplen',
    '--vni',
  ])
  expect(failure.mend.split('\n').length).toBeGreaterThan(3)
})
