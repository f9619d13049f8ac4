import { Poller } from '../../src/dgram-extended/poller.ts'

// A signal with a handler interrupts poll(2).
process.on('SIGUSR2', () => {})
process.stdout.write('ready\n')
const started = performance.now()
const ready = new Poller([]).wait(60_000)
process.stdout.write(`${ready} ${performance.now() - started < 50_000 ? 'early' : 'late'}\n`)
process.exit()
