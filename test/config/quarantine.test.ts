import { expect, test } from 'vitest'
import { quarantine } from '../../src/config/quarantine.ts'
import { refusal } from './refusal.ts'

test('a file, with what a pcapng sink takes', () => {
  expect(quarantine.parse('a.pcapng')).toMatchObject({
    type: 'quarantine',
    name: 'a.pcapng',
    options: { target: 'a.pcapng' },
  })
  expect(quarantine.parse('a-%H.pcapng?rotate=1h&keep=24&queue=1MiB')).toMatchObject({
    options: { rotate: { seconds: 3600 }, keep: { files: 24 } },
    queue: 1 << 20,
  })
})

test.each([
  ['', 'names no file'],
  ['?rotate=1h', 'names no file'],
  ['-', 'standard output is for frames'],
  ['{vni}.pcapng', 'no {vni}'],
  ['a.pcapng?vni=7', 'no VNI'],
  ['a.pcapng?filter=tcp', 'no frame'],
  ['a.pcapng?rotate=soon', '"a.pcapng?rotate=soon": rotate: "soon" is neither'],
  ['a.pcapng?size=1', '"size"'],
])('"%s" is refused: %s', (text, what) => {
  expect(refusal(quarantine, text).what).toContain(what)
})
