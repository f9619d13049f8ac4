import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Namespace } from '../support/namespaces.ts'
import { until } from '../support/waiting.ts'

const PROJECT = new URL('../../', import.meta.url).pathname
const UNITS = ['mirror-collector.service', 'mirror-sender@.service']
const BOOT_MS = 30_000

/**
 * A file system in memory with this machine's /usr, an empty /etc and the project's commands where "npm install -g" puts
 * them; then systemd as the first process of it, in namespaces of its own.
 */
const BOOT = `
set -e
root=$1 node=$2 project=$3 etc=$4
mount --make-rprivate /
mount -t tmpfs -o mode=755 root "$root"
cd "$root"
mkdir -p usr proc sys dev run tmp var/lib var/tmp root home opt/project oldroot
mount --bind /usr usr
mount -o remount,bind,ro usr
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
touch opt/node
mount --bind "$node" opt/node
mount --bind "$project" opt/project
mount -t tmpfs -o mode=755 commands usr/local/bin
for command in mirror-collector mirror-sender; do
  printf '#!/bin/sh\\nexec /opt/node /opt/project/dist/bin/%s.js "$@"\\n' $command > usr/local/bin/$command
  chmod 755 usr/local/bin/$command
done
cp -r "$etc" etc
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 devices dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/shm dev/net dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mknod -m 666 dev/net/tun c 10 200
mount -t tmpfs -o mode=755 run run
pivot_root . oldroot
umount -l oldroot
exec env -i container=test PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --unit=basic.target --log-target=null
`

/** A systemd that runs, with this project's units, in a host's network namespace. */
export class BootedSystemd {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #pid: number

  private constructor(child: ChildProcess, folder: string, pid: number) {
    this.#child = child
    this.#folder = folder
    this.#pid = pid
  }

  static async boot(host: Namespace, files: Readonly<Record<string, string>> = {}): Promise<BootedSystemd> {
    const folder = mkdtempSync(join(tmpdir(), 'systemd-'))
    const [root, etc] = [join(folder, 'root'), join(folder, 'etc')]
    execFileSync('mkdir', ['-p', root, join(etc, 'systemd/system'), join(etc, 'mirror-collector')])
    // With an identity it is no first boot, in which every unit that the machine has would be enabled.
    writeFileSync(join(etc, 'machine-id'), `${'1'.repeat(32)}\n`)
    writeFileSync(join(etc, 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
    writeFileSync(join(etc, 'group'), 'root:x:0:\n')
    for (const unit of UNITS) {
      writeFileSync(join(etc, 'systemd/system', unit), readFileSync(join(PROJECT, 'config', unit)))
    }
    for (const [name, text] of Object.entries(files)) {
      execFileSync('mkdir', ['-p', join(etc, name, '..')])
      writeFileSync(join(etc, name), text)
    }
    const apart = ['unshare', '--pid', '--fork', '--kill-child', '--mount', '--uts', '--ipc', '--cgroup']
    const child = host.spawn([...apart, 'sh', '-c', BOOT, 'boot', root, process.execPath, PROJECT, etc])
    let said = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    let pid = 0
    try {
      await until(
        'systemd is up',
        () => {
          if (child.exitCode !== null) throw new Error(`systemd ended: ${said}`)
          pid = firstProcess(child.pid!)
          return pid !== 0 && inside(pid, ['systemctl', 'is-active', 'basic.target']).stdout === 'active\n'
        },
        BOOT_MS,
      )
    } catch (error) {
      child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
    return new BootedSystemd(child, folder, pid)
  }

  /** Runs a command in it to its end. */
  run(...argv: string[]): { status: number | null; stdout: string; stderr: string } {
    return inside(this.#pid, argv)
  }

  /** A unit's property, as `systemctl show` has it. */
  property(unit: string, name: string): string {
    return this.run('systemctl', 'show', '--value', '-p', name, unit).stdout.trimEnd()
  }

  /** Where a file of it is for processes outside. */
  path(name: string): string {
    return join(`/proc/${this.#pid}/root`, name)
  }

  /** Ends all its processes, and with the last of them its file system. */
  dispose(): void {
    this.#child.kill('SIGKILL')
    try {
      process.kill(this.#pid, 'SIGKILL')
    } catch {}
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function inside(pid: number, argv: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const enter = ['--target', String(pid), '--all', 'env', '-i', 'PATH=/usr/local/bin:/usr/sbin:/usr/bin', 'LC_ALL=C']
  const { status, stdout, stderr } = spawnSync('nsenter', [...enter, ...argv], { encoding: 'utf8', timeout: BOOT_MS })
  return { status, stdout, stderr }
}

/** Of the chain ip, unshare, systemd the last: the one that is number 1 in its own namespace; 0 while it is not there. */
function firstProcess(from: number): number {
  for (let pid = from; ; ) {
    const status = readIfThere(`/proc/${pid}/status`)
    const isFirst = /^NSpid:.*\s1$/m.test(status)
    if (isFirst) return /^Name:\s+systemd$/m.test(status) ? pid : 0
    const [child] = readIfThere(`/proc/${pid}/task/${pid}/children`).split(' ')
    if (child === undefined || child === '') return 0
    pid = Number(child)
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
