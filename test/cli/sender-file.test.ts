import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readMirrorFile } from '../../src/cli/sender-file.ts'
import { mirrorKeys } from '../../src/cli/sender-program.ts'
import { parseMirrorOptions } from '../../src/config/sender-options.ts'
import { Failure } from '../../src/config/terms/failure.ts'

const EXAMPLE = new URL('../../config/mirror-sender.yaml', import.meta.url).pathname

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sender-file-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function read(text: string): Record<string, string> {
  const path = join(folder, 'mirror.yaml')
  writeFileSync(path, text)
  return readMirrorFile(path, mirrorKeys(), mirrorKeys())
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

test('the example is a mirror, and so it is with every line in it that is a comment', () => {
  const text = readFileSync(EXAMPLE, 'utf8')
  expect(parseMirrorOptions(read(text))).toMatchObject({ interface: 'eth0', collector: '10.0.0.2', vni: 100 })
  const whole = text.replace(/^# (?=[a-z-]+: )/gm, '')
  expect(parseMirrorOptions(read(whole))).toMatchObject({
    direction: 'both',
    filter: 'not port 22',
    encapsulation: 'vxlan',
    port: 4789,
    sourcePort: { low: 49_152, high: 65_535 },
    ttl: 64,
    dscp: 8,
    mtu: 1500,
    netns: 'blue',
    snaplen: 256,
    headers: 'l4',
    sample: 10,
  })
})

test('the example has every key', () => {
  const text = readFileSync(EXAMPLE, 'utf8')
  expect(mirrorKeys().filter((key) => !new RegExp(`(?<![a-z-])${key}: `).test(text))).toEqual([])
})

test.each([
  ['interfaces: eth0\n', 78, '"interfaces" is no option; the nearest is "interface"'],
  ['source_port: 1-2\n', 78, '"source_port" is no option; the nearest is "source-port"'],
  ['vni: [1, 2]\n', 78, '"vni" has no value that is a text or a number'],
  ['- eth0\n', 78, 'it is no list of options'],
  ['vni: "1\n', 78, ':2:1: '],
])('%j is refused with %i: %s', (text, exitCode, what) => {
  const failure = refusal(() => read(text))
  expect(failure.exitCode).toBe(exitCode)
  expect(failure.message).toContain(what)
})

test('a file that is not there is no input', () => {
  expect(refusal(() => readMirrorFile(join(folder, 'none.yaml'), [], [])).exitCode).toBe(66)
})

test.each([
  [{ vni: '16777216' }, /--vni: 16777216 is above 16777215/],
  [{ encapsulation: 'erspan', vni: '1024' }, /--vni: 1024 is above 1023/],
  [{ encapsulation: 'gre', port: '4789' }, /--port: gre has no ports/],
  [{ collector: 'ff02::1' }, /--collector: "ff02::1" is no address of one host/],
  [{ collector: 'fe80::1' }, /--collector: "fe80::1" is a link-local address/],
  [{ collector: '239.1.1.1' }, /is no address of one host/],
  [{ netns: 'a', pid: '1' }, /of --netns, --pid and --container more than one/],
  [{ filter: 'tcp and vlan 5' }, /--filter: the kernel keeps VLAN tags/],
  [{ interface: 'a name with blanks' }, /--interface: is no name of an interface/],
  [{ sourcePort: '9-1' }, /--source-port: "9-1" is not a range of ports/],
  [{ ttl: '0' }, /--ttl: "0" is not a whole number from 1 to 255/],
])('%o is refused', (options, what) => {
  const given = { interface: 'eth0', collector: '10.0.0.2', vni: '1', ...options }
  const failure = refusal(() => parseMirrorOptions(given))
  expect(failure.exitCode).toBe(64)
  expect(failure.message).toMatch(what)
})

test("a collector's address is taken in the kernel's own spelling", () => {
  const options = { interface: 'eth0', collector: '2001:DB8:0:0::0002', vni: '1' }
  expect(parseMirrorOptions(options).collector).toBe('2001:db8::2')
})
