import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../sender/commands.ts'
import { describeFrame, framesOf } from './frames.ts'

/** What a Linux vxlan device sent, taken by tcpdump: pings, VNI 42. */
const CAPTURE = fileURLToPath(new URL('../../test/golden/kernel-ipv4.pcap', import.meta.url))

/** What needs no privilege: a capture file through `decap`, each tunnel packet beside the frame that was in it. */
export async function playOffline(command: string, say: (text: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'mirror-demo-'))
  try {
    const out = join(folder, 'frames.pcap')
    say('The half that needs no privilege: mirror-collector decap tunnel.pcap --out pcap:frames.pcap\n')
    await runCommand([process.execPath, command, 'decap', CAPTURE, '--out', `pcap:${out}`, '-q'])
    const inner = await framesOf(out)
    for (const [i, outer] of (await framesOf(CAPTURE)).entries()) {
      const frame = inner[i]
      say(`  ${outer.length} bytes  ${describeFrame(outer)}, VXLAN`)
      say(`   └ ${frame === undefined ? 'nothing' : `${frame.length} bytes  ${describeFrame(frame)}`}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
