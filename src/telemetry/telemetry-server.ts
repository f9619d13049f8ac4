import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { TrafficHistory } from './history.ts'
import { type Answer, HttpServer, json, plain, type Routes } from './http-server.ts'
import { liveStatus, type RunFacts } from './live-status.ts'
import { PrometheusText } from './prometheus.ts'
import type { Snapshot } from './snapshot.ts'

const SAMPLE_MS = 1000
/** Of the files that browsers get, as they are. */
const PAGE = new URL('./page/', import.meta.url)

/** Where a telemetry server gets its figures. */
export interface TelemetrySource {
  snapshot(): Snapshot
  facts(): RunFacts
}

/** Metrics, health, report and the live page over HTTP. */
export class TelemetryServer {
  readonly #http: HttpServer
  readonly #timer: NodeJS.Timeout

  private constructor(http: HttpServer, timer: NodeJS.Timeout) {
    this.#http = http
    this.#timer = timer
  }

  /** Throws Failure. */
  static async open(host: string, port: number, source: TelemetrySource): Promise<TelemetryServer> {
    const history = new TrafficHistory()
    const http = await HttpServer.open(host, port, routesOf(source, history))
    const sample = () => history.sample(source.snapshot(), performance.now(), Date.now())
    sample()
    return new TelemetryServer(http, setInterval(sample, SAMPLE_MS))
  }

  get url(): string {
    return this.#http.url
  }

  close(): void {
    clearInterval(this.#timer)
    this.#http.close()
  }
}

function routesOf(source: TelemetrySource, history: TrafficHistory): Routes {
  const prometheus = new PrometheusText(source.facts().version)
  const metrics = async () => ({
    status: 200,
    type: prometheus.contentType,
    body: await prometheus.of(source.snapshot()),
  })
  return new Map<string, () => Answer | Promise<Answer>>([
    ['/', file(page('index.html'), 'text/html; charset=utf-8')],
    ['/icon.svg', file(page('icon.svg'), 'image/svg+xml')],
    ['/page.css', file(page('page.css'), 'text/css')],
    ['/page.js', file(page('page.js'), 'text/javascript')],
    ['/plots.js', file(page('plots.js'), 'text/javascript')],
    ['/units.js', file(page('units.js'), 'text/javascript')],
    ['/uPlot.js', file(uPlot('uPlot.iife.min.js'), 'text/javascript')],
    ['/uPlot.css', file(uPlot('uPlot.min.css'), 'text/css')],
    ['/live', () => json(liveStatus(source.facts(), source.snapshot(), history))],
    ['/metrics', metrics],
    ['/report', () => json(source.snapshot().report)],
    ['/healthz', () => plain(200, 'ok')],
    ['/readyz', () => readiness(source)],
  ])
}

function readiness(source: TelemetrySource): Answer {
  const { state } = source.facts()
  return plain(state === 'collecting' ? 200 : 503, state)
}

function page(name: string): URL {
  return new URL(name, PAGE)
}

function uPlot(name: string): URL {
  return new URL(name, import.meta.resolve('uplot'))
}

/** Read when it is first asked for. */
function file(url: URL, type: string): () => Answer {
  let body: Buffer | undefined
  return () => {
    body ??= readFileSync(fileURLToPath(url))
    return { status: 200, type, body }
  }
}
