import { Counter, Gauge, Registry } from 'prom-client'
import { BoundedLabels, LABELLED_VNIS, METRICS, type MetricContext } from './metrics.ts'
import type { Snapshot } from './snapshot.ts'

/** The metrics in Prometheus' text format. */
export class PrometheusText {
  readonly #registry: Registry = new Registry()
  readonly #context: MetricContext
  readonly #collectors: readonly { readonly metric: Counter | Gauge; readonly index: number }[]

  constructor(version: string) {
    this.#context = { version, vniLabels: new BoundedLabels(LABELLED_VNIS) }
    this.#collectors = METRICS.map(({ name, type, help, labels }, index) => {
      const settings = { name, help, labelNames: [...labels], registers: [this.#registry] }
      return { metric: type === 'counter' ? new Counter(settings) : new Gauge(settings), index }
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async of(snapshot: Snapshot): Promise<string> {
    for (const { metric, index } of this.#collectors) {
      metric.reset()
      for (const [labels, value] of METRICS[index]!.samples(snapshot, this.#context)) metric.inc(labels, value)
    }
    return await this.#registry.metrics()
  }
}
