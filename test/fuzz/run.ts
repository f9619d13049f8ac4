/**
 * Mutated packets through the whole pipeline, and mutated files through the reader, mutated
 * Kafka records through their unpacker, and blocks of packet rings that lie: npm run fuzz -- [--packets N] [--seed S]
 * Ends with 1 at the first thing that must not be, and says how to see it again.
 */
import { parseArgs } from 'node:util'
import { loadCorpus } from './corpus.ts'
import { fuzzBlocks } from './fuzz-blocks.ts'
import { fuzzPipeline } from './fuzz-pipeline.ts'
import { fuzzReader } from './fuzz-reader.ts'
import { fuzzRecords } from './fuzz-records.ts'

const PACKETS_A_FILE = 250
const PACKETS_A_BLOCK = 10

const { values } = parseArgs({
  options: { packets: { type: 'string', default: '1000000' }, seed: { type: 'string' } },
})
const packets = Number(values.packets)
const seed = values.seed === undefined ? Date.now() % 2 ** 32 : Number(values.seed)
if (!Number.isSafeInteger(packets) || packets < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('--packets and --seed take whole numbers.\nWrite: npm run fuzz -- --packets 1000000 --seed 7\n')
  process.exit(64)
}

const corpus = await loadCorpus()
const sound = corpus.reduce((sum, capture) => sum + capture.length, 0)
process.stderr.write(`seed ${seed}; ${sound} packets of ${corpus.length} captures\n`)
const start = performance.now()
let said = start
const ends = await fuzzPipeline({ packets, seed, corpus, progress })
const seconds = (performance.now() - start) / 1000
for (const [setting, reasons] of Object.entries(ends)) process.stdout.write(`${setting}: ${JSON.stringify(reasons)}\n`)
process.stdout.write(`${packets} packets in ${seconds.toFixed(0)} s: ${Math.round(packets / seconds)} a second\n`)
const files = Math.ceil(packets / PACKETS_A_FILE)
const { read, problems } = await fuzzReader({ files, seed, corpus })
process.stdout.write(`${files} capture files: ${read} packets read, ${problems} files with a problem\n`)
const { frames, problems: damagedBatches } = await fuzzRecords({ batches: files, seed, corpus })
process.stdout.write(`${files} batches of Kafka records: ${frames} frames, ${damagedBatches} batches with damage\n`)
const blocks = Math.ceil(packets / PACKETS_A_BLOCK)
process.stdout.write(`${blocks} blocks of a ring: ${fuzzBlocks(blocks, seed)} packets\n`)

function progress(done: number): void {
  if (performance.now() - said < 10_000) return
  said = performance.now()
  process.stderr.write(`${done} packets\n`)
}
