import { linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Bench, temporaryFolder } from './records.ts'

const NOON = 1_700_049_600

test.each([
  ['by its name', (spare: string) => `${spare}/a-1.pcap`],
  [
    'through a link',
    (spare: string) => {
      symlinkSync(`${spare}/a-1.pcap`, `${spare}/link`)
      return `${spare}/link`
    },
  ],
  [
    'by another name of its own',
    (spare: string) => {
      mkdirSync(`${spare}/elsewhere`)
      linkSync(`${spare}/a-1.pcap`, `${spare}/elsewhere/b`)
      return `${spare}/elsewhere/b`
    },
  ],
])('the file that is read, told %s, is neither removed nor counted', (_, tell) => {
  const folder = temporaryFolder()
  for (const name of ['a-1.pcap', 'a-2.pcap']) writeFileSync(`${folder}/${name}`, 'precious')
  const bench = new Bench(`../${folder.split('/').at(-1)}/a.pcap`, {
    rotate: { bytes: 100 },
    keep: { files: 2 },
    spare: tell(folder),
  })
  bench.files.open(NOON)
  bench.add([NOON, NOON, NOON])
  bench.commit()
  bench.files.close()
  const left = readdirSync(folder).filter((name) => name.endsWith('.pcap'))
  expect(left.sort()).toEqual(['a-1.pcap', 'a-4.pcap', 'a-5.pcap'])
})

test('a file to read that is not there is nothing to spare', () => {
  const bench = new Bench('a.pcap', {
    rotate: { bytes: 100 },
    keep: { files: 1 },
    spare: '/nonexistent/a.pcap',
    before: (folder) => writeFileSync(`${folder}/a.pcap`, ''),
  })
  bench.files.open(NOON)
  expect(bench.events).toEqual(['opened a-1.pcap', 'removed a.pcap'])
})
