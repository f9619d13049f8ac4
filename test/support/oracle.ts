import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SHARED_CAPTURES } from './requirements.ts'

/** One inner frame as tshark's dissection has it; see ORACLE-NOTES.md beside the shared captures. */
export interface InnerFrame {
  /** Number of the outer packet, from 1. */
  frameNumber: number
  /** vxlan, vxlan-gpe, geneve, gre-ip4, gre-ip6, gre-teb, gre-teb-key, erspan-1, erspan-2, erspan-3, gre-v1(...), gre(...). */
  encapsulation: string
  /** VNI, GRE key or ERSPAN session; undefined where the encapsulation has none. */
  tunnelId: number | undefined
  outerSource: string
  outerDestination: string
  /** Where the inner frame starts in the outer packet; undefined in a tunnel whose outer IP packet came in fragments. */
  offset: number | undefined
  captured: number
  /** SHA-256 of the captured bytes of the inner frame. */
  sha256: string
  /** tshark's protocols, such as `eth:ip:icmp`; `ip:...` where the inner frame has no Ethernet header. */
  protocols: string
  note: string
}

function table(file: string): Map<string, string>[] {
  if (!existsSync(file)) return []
  const [header, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n')
  const names = header!.split('\t')
  return lines.map((line) => new Map(line.split('\t').map((value, i) => [names[i]!, value])))
}

/** Paths of the captures with tunnels in them, relative to the shared folder; empty where that folder is absent. */
export function tunnelCaptures(): string[] {
  return table(join(SHARED_CAPTURES, 'INDEX.tsv')).map((row) => row.get('path')!)
}

/** Paths of every shared capture, those of ordinary traffic among them. */
export function sharedCaptures(): string[] {
  const plain = table(join(SHARED_CAPTURES, 'INDEX-plain.tsv'))
  return [...tunnelCaptures(), ...plain.map((row) => row.get('path')!)]
}

/** The inner frames that a decapsulator of one level emits for a shared capture: the rows of depth 1. */
export function expectedFrames(path: string): InnerFrame[] {
  return table(join(SHARED_CAPTURES, `${path}.oracle.tsv`))
    .filter((row) => row.get('depth') === '1')
    .map(innerFrame)
}

/** The rows of one frame, outermost tunnel first, for every frame that has a tunnel. */
export function nestedFrames(path: string): InnerFrame[][] {
  const byFrame = new Map<string, InnerFrame[]>()
  for (const row of table(join(SHARED_CAPTURES, `${path}.oracle.tsv`))) {
    if (row.get('depth') === '0') continue
    const number = row.get('frame_number')!
    byFrame.set(number, [...(byFrame.get(number) ?? []), innerFrame(row)])
  }
  return [...byFrame.values()]
}

function innerFrame(row: Map<string, string>): InnerFrame {
  const offset = row.get('inner_offset')!
  const tunnelId = row.get('vni_or_key')!
  return {
    frameNumber: Number(row.get('frame_number')),
    encapsulation: row.get('encap')!,
    tunnelId: tunnelId === '' ? undefined : Number(tunnelId),
    outerSource: row.get('outer_src')!,
    outerDestination: row.get('outer_dst')!,
    offset: offset.startsWith('R') ? undefined : Number(offset),
    captured: Number(row.get('inner_caplen')),
    sha256: row.get('sha256_of_inner_bytes')!,
    protocols: row.get('inner_protocols')!,
    note: row.get('note') ?? '',
  }
}

/** Captures made for this project by the kernel and scapy; HOW.md there says how. */
export const GOLDEN: string = new URL('../golden/', import.meta.url).pathname

/** What comes out of one outer packet of a golden capture. */
export interface GoldenFrame {
  /** Number of the outer packet, from 1; of the piece that completes it where it came in fragments. */
  frameNumber: number
  vni: number
  captured: number
  wireLength: number
  /** SHA-256 of the captured bytes of the inner frame. */
  sha256: string
  note: string
}

/** Names of the golden captures that have expected frames: `NAME.pcap` in GOLDEN. */
export function goldenCaptures(): string[] {
  return readdirSync(GOLDEN)
    .filter((file) => file.endsWith('.expected.tsv'))
    .map((file) => file.slice(0, -'.expected.tsv'.length))
}

/** The inner frames expected of a golden capture, in order. */
export function goldenFrames(name: string): GoldenFrame[] {
  return table(join(GOLDEN, `${name}.expected.tsv`))
    .filter((row) => row.get('vni') !== '-')
    .map((row) => ({
      frameNumber: Number(row.get('frame_number')),
      vni: Number(row.get('vni')),
      captured: Number(row.get('captured')),
      wireLength: Number(row.get('original')),
      sha256: row.get('sha256')!,
      note: row.get('note')!,
    }))
}

/** Outer packets of a golden capture from which no frame may come. */
export function goldenRejects(name: string): { frameNumber: number; note: string }[] {
  return table(join(GOLDEN, `${name}.expected.tsv`))
    .filter((row) => row.get('vni') === '-')
    .map((row) => ({ frameNumber: Number(row.get('frame_number')), note: row.get('note')! }))
}
