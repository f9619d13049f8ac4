import { execFileSync } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { PathTemplateError } from '../../src/pcap-writer/errors.ts'
import { PathTemplate } from '../../src/pcap-writer/path-template.ts'

const SERIES = { encapsulation: 'vxlan-gpe', tunnelId: 16_777_215 }
const ZONE = process.env.TZ

afterEach(() => {
  if (ZONE === undefined) delete process.env.TZ
  else process.env.TZ = ZONE
})

const expanded = (text: string, second = 0, number = 0): string => new PathTemplate(text).expand(second, SERIES, number)

describe('time fields are what date(1) prints', () => {
  const fields = ['Y', 'm', 'd', 'H', 'M', 'S', 'j', 's', 'y', 'F', 'T', 'z']
  // Leap day, last second of a year, both sides of a change of the clock, a zone with half an hour.
  const cases = ['UTC', 'Europe/Berlin', 'Asia/Kolkata', 'America/St_Johns'].flatMap((zone) =>
    [1_709_164_800, 1_735_689_599, 1_711_846_799, 1_711_846_800, 1_729_990_800, 981_173_106].map(
      (s) => [zone, s] as const,
    ),
  )
  test.each(cases)('%s at %d', (zone, second) => {
    process.env.TZ = zone
    const format = fields.map((field) => `%${field}`).join('_')
    const told = execFileSync('date', ['-d', `@${second}`, `+${format}`], {
      encoding: 'utf8',
      env: { ...process.env, TZ: zone },
    })
    expect(expanded(format, second)).toBe(told.trim())
  })
})

test('%% is a per cent sign', () => expect(expanded('100%%.pcap')).toBe('100%.pcap'))

test('series fields are the name and the number', () =>
  expect(expanded('a-{encap}-{vni}.pcap')).toBe('a-vxlan-gpe-16777215.pcap'))

test('tunnels without a series of their own share the name other', () => {
  const others = { encapsulation: 'vxlan', tunnelId: undefined }
  expect(new PathTemplate('a-{encap}-{vni}.pcap').expand(0, others, 0)).toBe('a-vxlan-other.pcap')
})

test.each([
  ['a/%Q.pcap', '%Q'],
  ['a%', '%'],
  ['{vlan}.pcap', '{vlan}'],
  ['{vni', '{vni'],
  ['{}', '{}'],
  ['%{vni}', '%{'],
])('%s is refused and %s named', (text, field) => {
  expect(() => new PathTemplate(text)).toThrow(PathTemplateError)
  expect(() => new PathTemplate(text)).toThrow(`unknown field ${field}.`)
})

test.each(['', 'folder/'])('"%s" is refused: it names no file', (text) => {
  expect(() => new PathTemplate(text)).toThrow(PathTemplateError)
})

test.each([
  ['../../etc/passwd', 1],
  ['a/b', 1],
  ['', 1],
  ['..', 1],
  ['vxlan', -1],
  ['vxlan', 1.5],
  ['vxlan', 2 ** 32],
  ['vxlan', Number.NaN],
])('a series %j with number %d cannot become part of a name', (encapsulation, tunnelId) => {
  const template = new PathTemplate('x/{encap}/{vni}')
  expect(() => template.expand(0, { encapsulation, tunnelId }, 0)).toThrow(RangeError)
})

test.each([
  ['mirror.pcap', 'mirror-7.pcap'],
  ['mirror.pcap.gz', 'mirror-7.pcap.gz'],
  ['mirror', 'mirror-7'],
  ['a.b/mirror', 'a.b/mirror-7'],
  ['2024.01.pcapng', '2024.01-7.pcapng'],
  ['{vni}.pcap', '16777215-7.pcap'],
  ['x.{encap}', 'x.vxlan-gpe-7'],
])('a number goes before the extensions of %s', (text, name) => expect(expanded(text, 0, 7)).toBe(name))

test('.gz is added once', () => {
  expect(new PathTemplate('a.pcap').gzipped().text).toBe('a.pcap.gz')
  expect(new PathTemplate('a.pcap.gz').gzipped().text).toBe('a.pcap.gz')
})

test.each([
  ['a.pcap', false, false, '.'],
  ['/a.pcap', false, false, '/'],
  ['/data/%Y/a-{vni}.pcap', true, true, '/data'],
  ['./x/{encap}.pcap', true, false, 'x'],
  ['%F.pcap', false, true, '.'],
  ['/data/cap-%s', false, true, '/data'],
])('%s: series fields %s, time fields %s, below the folder %s', (text, series, time, folder) => {
  const template = new PathTemplate(text)
  expect([template.hasSeriesFields, template.hasTimeFields, template.folder]).toEqual([series, time, folder])
})

describe('a matcher knows names of its own template', () => {
  test.each([
    ['m-%Y%m%d.pcap', 'm-20240229.pcap', '', 0],
    ['m-%Y%m%d.pcap', 'm-20240229-12.pcap', '', 12],
    ['{encap}-{vni}.pcap', 'vxlan-gpe-5-1.pcap', '/vxlan-gpe/5', 1],
    ['x+(1)-{vni}.pcap.gz', 'x+(1)-42.pcap.gz', '/42', 0],
    ['/d/e/m.pcap', 'm-3.pcap', '', 3],
    ['a.pcap', 'a-999999999.pcap', '', 999_999_999],
    ['{encap}-{vni}.pcap', 'vxlan-other-2.pcap', '/vxlan/other', 2],
  ])('%s made %s', (text, name, seriesKey, number) => {
    expect(new PathTemplate(text).matchers().map((m) => m.match(name))).toEqual([{ seriesKey, number }])
  })

  test.each([
    ['m-%Y%m%d.pcap', 'm-2024022.pcap'],
    ['m-%Y%m%d.pcap', 'm-20240229.pcapng'],
    ['m-%Y%m%d.pcap', 'm-20240229-0.pcap'],
    ['a.pcap', 'a-1000000000.pcap'],
    ['a.pcap', 'a-99999999999999999999.pcap'],
    ['{encap}-{vni}.pcap', 'vxlan-42-99999999999999999999.pcap'],
    ['m-%Y%m%d.pcap', 'notes-m-20240229.pcap'],
    ['{vni}.pcap', '12.pcap.gz'],
    ['{vni}.pcap', 'x.pcap'],
    ['a.pcap', 'axpcap'],
  ])('%s did not make %s', (text, name) => {
    expect(new PathTemplate(text).matchers().map((m) => m.match(name))).toEqual([undefined])
  })

  test('there is one for each folder below the literal one', () => {
    const [folder, name] = new PathTemplate('/data/{encap}/%Y-{vni}.pcap').matchers()
    expect(folder?.match('geneve')).toEqual({ seriesKey: '/geneve', number: 0 })
    expect(name?.match('2024-9.pcap')).toEqual({ seriesKey: '/9', number: 0 })
  })
})

test.each([
  ['a.pcap', ['.']],
  ['/a.pcap', ['/']],
  ['%Y.pcap', ['.']],
  ['../%Y/a.pcap', ['..', '../2026']],
  ['/x%%y/a-%Y/%m/%d.pcap', ['/x%y', '/x%y/a-2026', '/x%y/a-2026/11']],
  ['/x/%Y/{vni}/%m.pcap', ['/x']],
])('%s: folders that have files are %j', (text, folders) => {
  expect(new PathTemplate(text).foldersAt(new Date(2026, 10, 28).getTime() / 1000)).toEqual(folders)
})
