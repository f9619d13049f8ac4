import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { requires } from '../support/requirements.ts'
import { temporaryFolder } from './records.ts'

const ROOM = new URL('../../src/pcap-writer/', import.meta.url).pathname

requires('tcpdump')('the example in README prints what README says, and tcpdump reads its file', () => {
  const [code, output, packets] = [...readFileSync(join(ROOM, 'README.md'), 'utf8').matchAll(/```\w+\n(.*?)```/gs)].map(
    (m) => m[1]!,
  )
  const folder = temporaryFolder()
  const example = join(folder, 'example.mts')
  writeFileSync(example, code!.replace('mirror-collector/pcap-writer', join(ROOM, 'pcap-writer.ts')))
  const options = {
    cwd: folder,
    encoding: 'utf8' as const,
    env: { ...process.env, TZ: 'UTC' },
  }
  const tsx = import.meta.resolve('tsx')
  expect(execFileSync(process.execPath, ['--import', tsx, example], options)).toBe(output)
  expect(execFileSync('tcpdump', ['-tt', '--nano', '-nr', 'web-20231114-42.pcapng'], options)).toBe(packets)
})
