import { spawnSync } from 'node:child_process'
import type { Ended } from '../support/command.ts'
import type { Namespace } from '../support/namespaces.ts'

const COMMAND = new URL('../../dist/bin/mirror-sender.js', import.meta.url).pathname
const LIMIT_MS = 20_000

/** Words that run mirror-sender inside a namespace; `words` in front of it, such as setpriv's. */
export function senderArgv(host: Namespace, args: readonly string[], words: readonly string[] = []): string[] {
  return ['ip', 'netns', 'exec', host.name, ...words, process.execPath, COMMAND, ...args]
}

/** Runs mirror-sender to its end. */
export function runSender(host: Namespace, args: readonly string[], words: readonly string[] = []): Ended {
  const [tool = '', ...rest] = senderArgv(host, args, words)
  const { status, stdout, stderr } = spawnSync(tool, rest, { timeout: LIMIT_MS })
  return { exitCode: status, lines: stderr.toString().trimEnd().split('\n'), stdout }
}

/** Runs it and gives its standard output; throws where it fails. */
export function sender(host: Namespace, ...args: string[]): string {
  const { exitCode, lines, stdout } = runSender(host, args)
  if (exitCode !== 0) throw new Error(`mirror-sender ${args.join(' ')} ended with ${exitCode}: ${lines.join('\n')}`)
  return stdout.toString()
}

/** What `ip` and `tc` show of a host, without what tc adds to an action once somebody has looked at it. */
export function listings(host: Namespace): string {
  const show = (...argv: string[]): string => `# ${argv.join(' ')}\n${host.exec(argv)}`
  const devices = (JSON.parse(host.exec(['ip', '-j', 'link'])) as { ifname: string }[]).map(({ ifname }) => ifname)
  const filters = devices.flatMap((device) =>
    ['ingress', 'egress'].map((direction) => show('tc', 'filter', 'show', 'dev', device, direction)),
  )
  const actions = show('tc', 'actions', 'ls', 'action', 'mirred')
  const text = [show('ip', '-d', 'link'), show('tc', 'qdisc'), ...filters, actions].join('\n')
  return text.replace(/^\s*used_hw_stats .*\n/gm, '').replace(/ref \d+ bind \d+ ?/g, '')
}

/** Packets that an interface has sent so far. */
export function sentPackets(host: Namespace, device: string): number {
  const [link] = JSON.parse(host.exec(['ip', '-j', '-s', 'link', 'show', 'dev', device])) as [
    { stats64: { tx: { packets: number } } },
  ]
  return link.stats64.tx.packets
}

/** The device of the only mirror there is. */
export function tunnelDevice(host: Namespace): string {
  const { mirrors } = JSON.parse(sender(host, 'status', '--json')) as { mirrors: { device: string }[] }
  if (mirrors[0] === undefined) throw new Error('there is no mirror')
  return mirrors[0].device
}
