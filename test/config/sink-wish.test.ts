import { expect, test } from 'vitest'
import { listenWish } from '../../src/config/listen.ts'
import { sinkText } from '../../src/config/sink-wish.ts'
import { SINKS } from '../../src/sinks/registry.ts'
import { failureOf, refusal } from './refusal.ts'

const MEBIBYTE = 1 << 20

test('a name alone is a sink with the settings that its kind has by default', () => {
  expect(sinkText.parse('null')).toEqual({
    type: 'null',
    name: 'null',
    options: {},
    wanted: [],
    filter: undefined,
    overflow: undefined,
    queue: 32 * MEBIBYTE,
  })
})

test('target and settings go where they belong', () => {
  const text = 'pcap:/data/%Y.pcap?rotate=100MiB&vni=5-7,!6&overflow=block&queue=2MiB&keep=10'
  const { options, ...rest } = sinkText.parse(text)
  expect(rest).toEqual({
    type: 'pcap',
    name: text,
    wanted: [
      { from: 5, to: 7, deny: false },
      { from: 6, to: 6, deny: true },
    ],
    filter: undefined,
    overflow: 'block',
    queue: 2 * MEBIBYTE,
  })
  expect(options).toMatchObject({ target: '/data/%Y.pcap', rotate: { bytes: 100 * MEBIBYTE }, keep: { files: 10 } })
})

test.each([
  ['pcap', /^\.\/mirror-.*\.pcap$/],
  ['pcap:', /^\.\/mirror-.*\.pcap$/],
  ['pcapng?rotate=1h', /^\.\/mirror-.*\.pcapng$/],
  ['pcap:-', /^-$/],
  ['pcap:a:b.pcap', /^a:b\.pcap$/],
])('the target of "%s" is %s', (text, target) => {
  expect((sinkText.parse(text).options as { target: string }).target).toMatch(target)
})

test('values may be written with % and two hex digits', () => {
  expect(sinkText.parse('pcap?rotate=100MiB%2C1h').options).toMatchObject({
    rotate: { bytes: 100 * MEBIBYTE, seconds: 3600 },
  })
})

test.each([
  ['filter=tcp port 443&vni=5', 'tcp port 443'],
  ['vni=5&filter=tcp[13] & 2 != 0', 'tcp[13] & 2 != 0'],
  ['filter=ip[0]&0xf=5&vni=5', 'ip[0]&0xf=5'],
  ['filter=tcp && udp || icmp&vni=5', 'tcp && udp || icmp'],
  ['filter=ip[2:2] %25 3 = 0 %26 1&vni=5', 'ip[2:2] % 3 = 0 & 1'],
  ['filter=tcp[tcpflags]%26tcp-syn=tcp-syn&vni=5&', 'tcp[tcpflags]&tcp-syn=tcp-syn'],
  ['vni=5&filter=ip6&&', 'ip6'],
])('"%s" has the filter "%s"', (query, filter) => {
  expect(sinkText.parse(`null?${query}`)).toMatchObject({ filter, wanted: [{ from: 5, to: 5 }] })
})

test('stray & and an empty list of settings are harmless', () => {
  for (const text of ['null?', 'null?&', 'null?vni=1&', 'null?&&vni=1']) expect(sinkText.parse(text).type).toBe('null')
})

test.each([
  ['', 'names no kind of sink'],
  ['pcp:/data/a.pcap', '"pcp:/data/a.pcap" names no kind of sink'],
  ['/data/a.pcap', 'names no kind of sink'],
  ['PCAP:/data/a.pcap', 'names no kind of sink'],
  ['toString', 'names no kind of sink'],
])('"%s" is refused with a list of those there are', (text, what) => {
  const said = refusal(sinkText, text)
  expect(said.what).toContain(what)
  for (const { type } of SINKS) expect(said.mend).toContain(type)
})

test.each([
  ['null:/data', 'null takes no target', 'Write its name alone.'],
  ['null:', 'null takes no target', 'Write its name alone.'],
  ['null?colour=red', 'null has no setting "colour"', 'null'],
  ['pcap?foo=1', 'pcap has no setting "foo"', 'Its settings are vni, filter,'],
  ['pcap?path=a.pcap', 'pcap has no setting "path"', 'target: TARGET}'],
  ['pcap?rotat=1h', 'pcap has no setting "rotat"; the nearest is "rotate"', 'pcap:'],
  ['pcapng?precision=us', 'pcapng has no setting "precision"', 'pcapng:'],
  ['pcap?__proto__=1', '"__proto__"', 'pcap:'],
  ['pcap?constructor=1', '"constructor"', 'pcap:'],
  ['pcap:/data/a?target=/data/b', '"target"', 'pcap:'],
  ['pcap?target=/data/b', '"target"', 'pcap:'],
  ['null?target=/data/b', '"target"', 'null'],
  ['null?vni', '"vni" is not key=value', 'null'],
  ['null?=5', '"=5" is not key=value', 'null'],
  ['null?vni=1&vni=2', '"vni" is given twice', 'null'],
  ['null?vni=%zz', '"vni=%zz" has a % that no two hex digits follow', 'null'],
  ['null?vni=x', 'vni: "x" is neither an identifier nor a range', 'e.g. 100,200-299'],
  ['null?overflow=wait', 'overflow: ', 'null'],
  ['null?queue=5', 'queue: "5" is not a size', 'e.g. 64MiB'],
  ['null?queue=1023KiB', 'queue: is below 1MiB', 'queue=16MiB'],
  ['pcap?rotate=5', 'rotate: "5" is neither a size nor whole seconds', 'rotate=60s'],
  ['pcap?keep=0', 'keep: "0" is neither a number of files nor a size', 'keep=10'],
  ['pcap?compress=zip', 'compress: ', 'pcap:'],
  ['pcap?precision=ms', 'precision: ', 'pcap:'],
  ['pcap?open-files=0', 'open-files: "0" is not a whole number above 0', 'e.g. 1000'],
])('"%s" is refused: %s', (text, what, mend) => {
  const said = refusal(sinkText, text)
  expect(said.what).toContain(what)
  expect(said.what).toContain(text)
  expect(said.mend).toContain(mend)
})

test('a path that is no template is refused, by the name of the sink', () => {
  const said = refusal(sinkText, 'pcap:/data/{host}.pcap')
  expect(said.what).toContain('"pcap:/data/{host}.pcap"')
  expect(said.what).toContain('{host}')
})

test.each([
  'kafka:localhost:9092/mirror?pasword=hunter2',
  'kafka:localhost:9092/mirror?password=hunter2&sasl=plai',
  'kafka:localhost:9092/mirror?hunter2',
  'kafka:localhost:9092/mirror?user=x&password-hunter2',
  'kafka:localhost:9092/mirror?password=a&password=hunter2',
  'kafka:localhost:9092/mirror?password=%hunter2',
  'kafka:localhost:9092/mirror?password-env=hunter2',
  'kafka:localhost:9092/mirror&password=hunter2',
  'kafka:localhost:9092?password=hunter2',
  'kafka:me:hunter2@localhost:9092/mirror',
  'kafka:broker1:9092,me:hunter2@localhost:9092/mirror',
  'kafk:localhost:9092/mirror?password=hunter2',
  'Kafka:me:hunter2@localhost:9092/mirror?batch=1&password=hunter2',
  'pcap:/data/a.pcap?passphrase=hunter2',
])('%s is refused without its secret', (text) => {
  for (const schema of [sinkText, listenWish]) {
    const { message, mend } = failureOf(schema, text)
    expect(`${message} ${mend}`).not.toContain('hunter2')
  }
})

test('what is known and no secret is quoted as it was written', () => {
  expect(refusal(sinkText, 'kafka:localhost:9092/mirror?filter=tcp[13] & 2 != 0&linger=1s&acks=2').what).toContain(
    '"kafka:localhost:9092/mirror?filter=tcp[13] & 2 != 0&linger=1s&acks=2"',
  )
  expect(refusal(sinkText, 'kafka:localhost:9092/mirror?password=x')).toEqual({
    what: '--password: "kafka:localhost:9092/mirror?password=***": kafka has no setting "password"',
    mend: 'Name where the password is: password-file=FILE or password-env=VARIABLE.',
  })
})
