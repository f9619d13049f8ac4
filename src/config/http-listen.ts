import { isIP } from 'node:net'
import { z } from 'zod'
import { problem } from './terms/problem.ts'

const LARGEST_PORT = 65_535

/** Where `--http` listens. */
export interface HttpListen {
  readonly host: string
  readonly port: number
}

/** `[HOST:]PORT`; without a host on loopback only. */
export const httpListen: z.ZodType<HttpListen, string> = z.string().transform((text, context) => {
  const [, bracketed, plain = '', port] = /^(?:\[([^\]]*)\]:|([^:]*):)?(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? (plain === '' ? '127.0.0.1' : plain)
  if (port !== undefined && Number(port) <= LARGEST_PORT && (isIP(host) !== 0 || host === 'localhost')) {
    return { host, port: Number(port) }
  }
  if (bracketed !== undefined || plain !== '') {
    if (port !== undefined && isIP(host) === 0) {
      const mend = 'Write an address in numbers, e.g. --http 0.0.0.0:9464, or the port alone for this host only.'
      context.addIssue(problem(`"${host}" is not an IP address`, mend))
      return z.NEVER
    }
  }
  context.addIssue(
    problem(`"${text}" is not [HOST:]PORT`, 'Write e.g. --http 9464 (this host only), or --http 0.0.0.0:9464.'),
  )
  return z.NEVER
})

export const tcpPort: z.ZodType<number, string> = z.string().transform((text, context) => {
  if (/^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) <= LARGEST_PORT) return Number(text)
  context.addIssue(problem(`"${text}" is not a port`, 'Write a number from 1 to 65535.'))
  return z.NEVER
})
