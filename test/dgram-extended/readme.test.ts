import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { requires } from '../support/requirements.ts'

const room = new URL('../../src/dgram-extended/', import.meta.url)

requires('linux')('the example in the README prints what the README says, but for times and ports', () => {
  const readme = readFileSync(new URL('README.md', room), 'utf8')
  const [, example = '', output = ''] = /```ts\n(.*?)```\n\n```\n(.*?)```/s.exec(readme) ?? []
  const entry = new URL('dgram-extended.ts', room).href
  const program = example.replace("'mirror-collector/dgram-extended'", `'${entry}'`)
  expect(program).toContain(entry)
  const argv = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const { stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
  const masked = (text: string): string => text.replaceAll(/port \d+ at \d+ s/g, 'port N at N s')
  expect(masked(stdout), stderr).toBe(masked(output))
  expect(output).toContain('port')
})
