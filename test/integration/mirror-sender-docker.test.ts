import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { until } from '../support/waiting.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'docker', 'dockerd', 'build')

const SENDER = new URL('../../dist/bin/mirror-sender.js', import.meta.url).pathname
const START_MS = 30_000

/** Docker's daemon with cgroups and /run of its own: what it makes ends with it, and it meets no other Docker. */
const DAEMON = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec dockerd --iptables=false --ip6tables=false --data-root "$1/data" --exec-root "$1/exec" -p "$1/pid" -H "unix://$1/socket"
`

let folder = ''
let hosts: NamespacePair
let daemon: ChildProcess
let collector: Collector | undefined
let dockerd = 0

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'docker-'))
  hosts = joinedNamespaces()
  const apart = [
    'unshare',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--cgroup',
    'sh',
    '-c',
    DAEMON,
    'sh',
    folder,
  ]
  daemon = hosts.left.spawn(apart)
  let said = ''
  daemon.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  await until(
    "Docker's daemon answers",
    () => {
      if (daemon.exitCode !== null) throw new Error(`dockerd ended: ${said}`)
      return existsSync(join(folder, 'socket')) && spawnSync('docker', ['version'], { env: environment() }).status === 0
    },
    START_MS,
  )
  dockerd = Number(readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').split(' ')[0])
})
afterEach(async () => {
  await collector?.dispose()
  daemon.kill('SIGKILL')
  await until('the daemon and all of its containers ended', () => dockerd === 0 || !existsSync(`/proc/${dockerd}`))
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const environment = () => ({ ...process.env, DOCKER_HOST: `unix://${folder}/socket` })

/** Runs a command where the daemon runs: there a container's process has the number that Docker tells. */
function besideDaemon(...argv: string[]): { status: number | null; stdout: string; stderr: string } {
  const enter = ['--target', String(dockerd), '--mount', '--pid', '--net', ...argv]
  return spawnSync('nsenter', enter, { encoding: 'utf8', env: environment(), timeout: START_MS })
}

const docker = (...args: string[]) => execFileSync('docker', args, { encoding: 'utf8', env: environment() })
const sender = (...args: string[]) => besideDaemon(process.execPath, SENDER, ...args)

/** A container that has this machine's programs: no image of others is needed. */
function startContainer(name: string): void {
  const root = join(folder, 'root')
  mkdirSync(join(root, 'usr'), { recursive: true })
  for (const link of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${link}`, join(root, link))
  execFileSync('sh', ['-c', `tar -c -C ${root} . | docker import - programs`], { env: environment() })
  docker('run', '-d', '--name', name, '-v', '/usr:/usr:ro', 'programs', 'sleep', '600')
}

it("mirrors a container's interface, found by its name in Docker", async () => {
  startContainer('web')
  const [address = '', gateway = ''] = docker(
    ...['inspect', '--format', '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}', 'web'],
  )
    .trim()
    .split(' ')
  const running = await startCollector(['--vni', '100', '--filter', 'icmp', '--out', 'null'], {
    namespace: hosts.left.name,
  })
  collector = running
  const mirror = ['--container', 'web', '--interface', 'eth0', '--collector', gateway, '--vni', '100']
  expect(sender('up', ...mirror)).toMatchObject({ status: 0 })
  hosts.left.exec(['ping', '-q', '-c', '20', '-i', '0.01', address])
  await until('echoes and replies arrived', async () => (await running.statistics()).delivered === 40)
  expect(sender('status', '--container', 'web').stdout).toContain(`eth0: vxlan to ${gateway} port 4789, VNI 100`)
  expect(sender('status').stdout).toBe('No mirror is on this host.\n')
  expect(sender('down', '--container', 'web', '--all')).toMatchObject({ status: 0 })
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())

  docker('kill', 'web')
  const refused = (name: string) => {
    const { status, stderr } = sender('up', ...mirror, '--container', name)
    return { status, what: stderr.split('\n')[0] }
  }
  expect(refused('web')).toEqual({ status: 69, what: 'mirror-sender: The container web does not run.' })
  expect(refused('nobody').status).toBe(69)
  expect(refused('nobody').what).toMatch(/No container nobody was found: docker: .*[Nn]o such container: nobody/)
}, 90_000)
