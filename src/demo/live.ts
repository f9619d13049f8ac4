import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { EXIT_SOFTWARE, Failure } from '../config/terms/failure.ts'
import { applySteps, removeSteps } from '../sender/apply.ts'
import { netnsPlace } from '../sender/commands.ts'
import { inspect } from '../sender/inspect.ts'
import { lock } from '../sender/lock.ts'
import type { MirrorWish } from '../sender/mirror.ts'
import { planDown } from '../sender/plan.ts'
import { select } from '../sender/selection.ts'
import { survey } from '../sender/survey.ts'
import { framesOf } from './frames.ts'
import { COLLECTOR, type DemoHosts, SOURCE, WEB } from './hosts.ts'
import { compareFrames } from './side-by-side.ts'

const VNI = 100
const PORT = 4789
/** Collector and web server end by themselves, should the demo be killed. */
const LONGEST_RUN_MS = 120_000
const SETTLED_MS = 10_000
const POLL_MS = 50

const WEB_SERVER = `require('node:http').createServer((request, response) => response.end('Hello from the web host.\\n'))
  .listen(80, '${WEB.address}', () => console.error('ready'))
  setTimeout(process.exit, ${LONGEST_RUN_MS})`
const WEB_REQUEST = `require('node:http').get('http://${WEB.address}/', { agent: false }, (response) => response.pipe(process.stdout))`

const WISH: MirrorWish = {
  interface: SOURCE.device,
  directions: ['ingress', 'egress'],
  tunnel: { encapsulation: 'vxlan', collector: COLLECTOR.address, port: PORT, vni: VNI },
  filter: undefined,
}

/** What a demo works with. */
export interface Stage {
  readonly hosts: DemoHosts
  /** The compiled command of the collector. */
  readonly command: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** The whole system, live: hosts, collector, mirror, traffic, and what became of every frame. The hosts are removed by the caller. */
export async function playLive(stage: Stage): Promise<void> {
  const { hosts, command, signal, say } = stage
  say(`1  Three hosts, each a network namespace; the mirror has a network of its own\n\n${TOPOLOGY}\n`)
  await hosts.make()
  signal.throwIfAborted()
  const [seen, collected, report] = ['seen.pcap', 'collected.pcap', 'report.json'].map((file) =>
    join(hosts.folder, file),
  ) as [string, string, string]

  say('2  The collector host: mirror-collector --vni 100 --out pcap:collected.pcap')
  const options = ['--listen', `:${PORT}`, '--vni', String(VNI), '--out', `pcap:${collected}`, '--report', report]
  const argv = [process.execPath, command, ...options, '--duration', `${LONGEST_RUN_MS}ms`]
  const [collector, listening] = await hosts.start(hosts.collector, 'listening', argv, signal)
  say(`   ${message(listening)}\n`)

  say('3  The source host: mirror-sender up --interface eth0 --collector 10.99.0.2 --vni 100')
  await mirrorUp(stage)
  const watch = ['tcpdump', '-i', SOURCE.device, '-U', '-s', '0', '-w', seen]
  const [tcpdump] = await hosts.start(hosts.source, 'listening on', watch, signal)
  const serve = [process.execPath, '-e', WEB_SERVER]
  await hosts.start(hosts.web, 'ready', serve, signal)

  say(`4  The source host: ping -c 2 ${WEB.address}, and a web request, GET http://${WEB.address}/`)
  await hosts.run(hosts.source, 'ping', '-q', '-c', '2', '-i', '0.2', WEB.address)
  signal.throwIfAborted()
  say(`   ${(await hosts.run(hosts.source, process.execPath, '-e', WEB_REQUEST)).trim()}\n`)

  await settled(seen, collected, signal)
  await hosts.stop(tcpdump, 'SIGINT')
  await hosts.stop(collector, 'SIGTERM')
  say('5  Frame by frame: what the source saw on eth0, and what the collector wrote\n')
  const { text, isSame } = compareFrames(await framesOf(seen), await framesOf(collected))
  say(`${text}\n`)
  say(`   The collector's accounting: ${readFileSync(report, 'utf8').trim()}\n`)

  say('6  The source host: mirror-sender down')
  await mirrorDown(stage)
  if (!isSame) throw new Failure(EXIT_SOFTWARE, 'The two differ.', 'Please report it with the lines above.')
}

const TOPOLOGY = `   source  eth0 ${SOURCE.address} ═══════ ${WEB.address} eth0  web
           eth1 ${SOURCE.underlay} ─ vxlan ─ ${COLLECTOR.address} eth0  collector`

/** As `mirror-sender up` does it, saying each command. */
async function mirrorUp({ hosts, signal, say }: Stage): Promise<void> {
  const place = netnsPlace(hosts.source)
  const unlock = await lock()
  try {
    const { steps } = await survey(WISH, place)
    for (const { argv } of steps) say(`   ${shortened(argv.join(' '))}`)
    await applySteps(steps, place, signal)
    say('')
  } finally {
    unlock()
  }
  signal.throwIfAborted()
}

async function mirrorDown({ hosts, say }: Stage): Promise<void> {
  const place = netnsPlace(hosts.source)
  const unlock = await lock()
  try {
    const state = await inspect(place)
    const { mirrors, orphans, stranded } = select(state, {})
    const steps = planDown(mirrors, orphans, state, stranded)
    for (const { argv } of steps) say(`   ${shortened(argv.join(' '))}`)
    await removeSteps(steps, place)
    say('')
  } finally {
    unlock()
  }
}

/** Waits until the collector has as many frames as were seen, and both have stopped growing. */
async function settled(seen: string, collected: string, signal: AbortSignal): Promise<void> {
  let before = -1
  for (const end = performance.now() + SETTLED_MS; performance.now() < end; ) {
    const counts = [(await framesOf(seen)).length, (await framesOf(collected)).length]
    if (counts[0] === counts[1] && counts[0] === before && before > 0) return
    before = counts[0]!
    await setTimeout(POLL_MS * 4, undefined, { signal })
  }
}

/** The text of a log line. */
function message(line: string): string {
  try {
    return (JSON.parse(line) as { msg: string }).msg
  } catch {
    return line
  }
}

const LONGEST_LINE = 118

function shortened(text: string): string {
  return text.length <= LONGEST_LINE ? text : `${text.slice(0, LONGEST_LINE - 3)}...`
}
