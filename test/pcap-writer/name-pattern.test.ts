import { mkdirSync, symlinkSync } from 'node:fs'
import { relative } from 'node:path'
import { expect, test } from 'vitest'
import { NamePattern } from '../../src/pcap-writer/name-pattern.ts'
import { PathTemplate } from '../../src/pcap-writer/path-template.ts'
import { temporaryFolder } from './records.ts'

const keeping = (path: string): NamePattern => new NamePattern(new PathTemplate(path), true)
const plain = (path: string): NamePattern => new NamePattern(new PathTemplate(path), false)

test.each([
  ['a.pcap', 'a.pcap'],
  ['a.pcap', './x/../a.pcap'],
  ['a.pcap', 'a-1.pcap'],
  ['a.pcap.gz', 'a-12.pcap.gz'],
  ['{vni}.pcap', '100.pcap'],
  ['{encap}/%Y/{vni}.pcap', 'vxlan/2026/other-3.pcap'],
  ['/a.pcap', '/a.pcap'],
])('%s may give a file the name %s', (template, path) => {
  expect(plain(template).matches(path)).toBe(true)
})

test.each([
  ['a.pcap', 'b.pcap'],
  ['a.pcap', 'a.pcap.gz'],
  ['a.pcap', 'x/a.pcap'],
  ['x/a.pcap', 'a.pcap'],
  ['{vni}.pcap', 'report.json'],
  ['{encap}/{vni}.pcap', '100.pcap'],
])('%s never gives a file the name %s', (template, path) => {
  expect(plain(template).matches(path)).toBe(false)
})

test('links of folders are looked through, whichever has them', () => {
  const folder = temporaryFolder()
  mkdirSync(`${folder}/d`)
  symlinkSync('d', `${folder}/l`)
  expect(plain(`${folder}/d/a.pcap`).matches(`${folder}/l/a-1.pcap`)).toBe(true)
  expect(plain(`${folder}/l/{vni}.pcap`).matches(`${relative('.', folder)}/d/7.pcap`)).toBe(true)
  expect(plain(`${folder}/l/new/a.pcap`).matches(`${folder}/d/new/a.pcap`)).toBe(true)
  expect(plain(`${folder}/d/%Y.pcap`).clashesWith(plain(`${folder}/l/%Y.pcap`))).toBe(true)
})

test.each([
  ['a.pcap', 'a-1.pcap'],
  ['{vni}.pcap', '100.pcap'],
  ['%Y.pcap', '2027.pcap'],
  ['%Y%m%d.pcap', '%Y%m%d-%H.pcap'],
  ['{vni}.pcap', '%s.pcap'],
])('%s and %s clash where one of them removes files', (one, other) => {
  expect([plain(one).clashesWith(keeping(other)), keeping(one).clashesWith(plain(other))]).toEqual([true, true])
  expect(plain(other).clashesWith(keeping(one))).toBe(true)
  expect(plain(one).clashesWith(plain(other))).toBe(false)
})

test('the same names clash in any case, others never', () => {
  expect(plain('{vni}-%Y.pcap').clashesWith(plain('./{vni}-%Y.pcap'))).toBe(true)
  expect(keeping('{vni}-%Y.pcap').clashesWith(keeping('{vni}-%Y.pcapng'))).toBe(false)
  expect(keeping('{encap}-{vni}.pcap').clashesWith(keeping('%Y%m%d-%H%M%S.pcap'))).toBe(false)
})
