import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { accessOf, closedAt, closedFolders, sinkFolders } from '../../src/cli/user-folders.ts'
import { collectOptions, parseOptions } from '../../src/config/schema.ts'
import { requires } from '../support/requirements.ts'

const it = requires('linux', 'root')
const ACCOUNT = { uid: 1001, gid: 2001, groups: [2001, 3001] }

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'user-folders-'))
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A folder of this owner, group and mode. */
function made(name: string, uid: number, gid: number, mode: number): string {
  const path = join(folder, name)
  mkdirSync(path)
  chownSync(path, uid, gid)
  chmodSync(path, mode)
  return path
}

it.each<[string, number, number, number, boolean]>([
  ['its own', 1001, 0, 0o700, true],
  ['its own, which it has closed to itself', 1001, 2001, 0o077, false],
  ["of root's", 0, 0, 0o700, false],
  ["of root's, that anybody may list", 0, 0, 0o755, false],
  ["of root's, that anybody may write to", 0, 0, 0o777, true],
  ['of its group', 0, 2001, 0o770, true],
  ['of one of its other groups', 0, 3001, 0o770, true],
  ['of its group, which is less than anybody', 0, 2001, 0o707, false],
  ['that it may write to and not go through', 1001, 0, 0o600, false],
])('a folder %s', (_, uid, gid, mode, isOpen) => {
  const path = made('a', uid, gid, mode)
  expect(closedAt(path, accessOf(ACCOUNT))).toBe(isOpen ? undefined : path)
})

it('a folder behind one that is closed, which is named; root needs no mode', () => {
  const closed = made('closed', 0, 0, 0o700)
  const behind = made('closed/open', 1001, 0, 0o777)
  expect(closedAt(behind, accessOf(ACCOUNT))).toBe(closed)
  expect(closedAt(behind, accessOf({ uid: 0, gid: 0, groups: [] }))).toBeUndefined()
  expect(closedFolders([behind, folder], 'me', accessOf(ACCOUNT)).map(({ mend }) => mend)).toEqual([
    `Let that user make files there (chmod o+x ${closed}), or name another folder.`,
    `Let that user make files there (chown me ${folder}), or name another folder.`,
  ])
})

it('the folders are those of files that are begun later, as far as they are there', () => {
  const path = made('a', 0, 0, 0o755)
  const year = `${new Date().getFullYear()}`
  mkdirSync(join(folder, 'b', year), { recursive: true })
  const out = [
    `pcap:${path}/x.pcap`,
    `pcap:${path}/%Y/{vni}.pcap`,
    `pcap:${folder}/b/%Y/x.pcap`,
    `pcapng:${path}/none/%Y/x.pcapng`,
    'pcap:-',
    'pcapng:/dev/null',
    'tap:ids0',
    `kafka:127.0.0.1:9092/t?spool=${folder}`,
    'null',
  ]
  const options = parseOptions(collectOptions, { out, quarantine: 'q%H.pcapng' })
  expect(sinkFolders(options)).toEqual([path, join(folder, 'b'), join(folder, 'b', year), folder, '.'])
})
