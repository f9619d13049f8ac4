import { connect } from 'node:net'
import { EXIT_UNAVAILABLE } from '../config/terms/failure.ts'
import { type Finding, failed } from '../config/terms/finding.ts'

const PATIENCE_MS = 3000

/** Whether each of the brokers (HOST:PORT) takes a connection; one that does is enough to begin. */
export async function brokerFindings(brokers: readonly string[]): Promise<Finding[]> {
  const answers = await Promise.all(brokers.map(reach))
  const isEnough = answers.includes(undefined)
  return brokers.map((broker, i): Finding => {
    const reason = answers[i]
    if (reason === undefined) return { level: 'ok', what: `broker ${broker} takes a connection` }
    const what = `broker ${broker}: ${reason}`
    const mend = 'Is it running, and does a firewall stand between?'
    return isEnough ? { level: 'warn', what, mend } : failed(EXIT_UNAVAILABLE, what, mend)
  })
}

/** Why it cannot be reached. */
function reach(broker: string): Promise<string | undefined> {
  const [host, port] = broker.split(':')
  return new Promise((resolve) => {
    const socket = connect({ host: host!, port: Number(port) })
    const end = (reason: string | undefined) => {
      socket.destroy()
      resolve(reason)
    }
    socket.setTimeout(PATIENCE_MS, () => end(`no answer within ${PATIENCE_MS / 1000} s`))
    socket.on('connect', () => end(undefined))
    socket.on('error', (error) => end(error.message))
  })
}
