import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { withoutControls } from '../config/terms/without-controls.ts'
import { listenOn } from './listen.ts'

/** What a client may cost: connections, and how long one may take to ask. */
const MOST_CONNECTIONS = 64
const MOST_HEADER_BYTES = 8192
const MOST_HEADERS = 64
const REQUEST_MS = 5000
const IDLE_MS = 5000
/** A client that does not read its answer is let go after this. */
const SILENT_SOCKET_MS = 15_000

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string | Buffer
}

/** Path -> what is there. */
export type Routes = ReadonlyMap<string, () => Answer | Promise<Answer>>

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

/** A small HTTP server in the main thread, for clients that may be hostile: they cost little and are told 4xx. */
export class HttpServer {
  readonly #server: Server
  readonly #sockets: Set<Socket> = new Set()
  readonly #host: string

  private constructor(server: Server, host: string) {
    this.#server = server
    this.#host = host
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /** Throws Failure. */
  static async open(host: string, port: number, routes: Routes): Promise<HttpServer> {
    const settings = {
      maxHeaderSize: MOST_HEADER_BYTES,
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: 1000,
    }
    const server = createServer(settings, (request, response) => void answer(routes, host, request, response))
    server.maxConnections = MOST_CONNECTIONS
    server.maxHeadersCount = MOST_HEADERS
    server.setTimeout(SILENT_SOCKET_MS)
    const http = new HttpServer(server, host)
    await listenOn(server, host, port, '--http')
    return http
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${port}/`
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

async function answer(routes: Routes, host: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const { status, type, body } = await find(routes, host, request)
    response.writeHead(status, {
      ...HEADERS,
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      ...(status >= 400 && { Connection: 'close' }),
      ...(status === 405 && { Allow: 'GET, HEAD' }),
    })
    response.end(body)
  } catch {
    response.destroy()
  }
}

/** Exact paths only, so that there is nothing to climb out of. */
function find(routes: Routes, host: string, request: IncomingMessage): Answer | Promise<Answer> {
  if (isLoopback(host) && !isLoopback(nameIn(request.headers.host))) {
    // A web page that has its own name resolved to loopback (DNS rebinding) must not read what is here.
    return plain(421, `This is ${host}, and not ${nameIn(request.headers.host).slice(0, 100)}.`)
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'GET or HEAD only.')
  const route = routes.get((request.url ?? '').split('?', 1)[0]!)
  return route === undefined ? plain(404, `There is: ${[...routes.keys()].join(' ')}`) : route()
}

export function plain(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` }
}

export function json(value: unknown): Answer {
  return { status: 200, type: 'application/json', body: `${withoutControls(JSON.stringify(value))}\n` }
}

function nameIn(header: string | undefined): string {
  return (header ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
