import { spawnSync } from 'node:child_process'

const LIMIT_MS = 5000

/** The brokers that KAFKA_BROKERS names, `HOST:PORT[,HOST:PORT]`, for tests that stop none; undefined = each test file starts its own. */
export const KAFKA_BROKERS: string | undefined = process.env.KAFKA_BROKERS || undefined

/** Whether one of the named brokers takes a connection. */
export function isReachable(brokers: string): boolean {
  const script = `
    for (const broker of process.argv[1].split(',')) {
      const [host, port] = broker.split(':')
      const socket = require('node:net').connect(Number(port), host)
      socket.on('connect', () => process.exit(0)).on('error', () => socket.destroy())
    }
    setTimeout(() => process.exit(1), ${LIMIT_MS}).unref()
    process.on('beforeExit', () => process.exit(1))`
  return spawnSync(process.execPath, ['-e', script, brokers], { timeout: 2 * LIMIT_MS }).status === 0
}
