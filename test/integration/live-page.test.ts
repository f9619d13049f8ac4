import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { type Collector, type Report, startCollector } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { TunnelTraffic } from '../support/tunnel-traffic.ts'
import { until } from '../support/waiting.ts'

const CHROMIUM = '/usr/bin/chromium'
const it = requires('build', 'linux', 'chromium')

let browser: Browser
let collector: Collector
let traffic: TunnelTraffic
let url = ''
/** What the browser complained about, and what it asked of others. */
let complaints: string[] = []

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
})
afterAll(() => browser?.close())

beforeEach(async () => {
  complaints = []
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', 'null', '--http', '0'])
  const address = () => /http:\/\/127\.0\.0\.1:\d+\//.exec(collector.stderr)?.[0]
  await until('the address is told', () => address() !== undefined)
  url = address()!
  traffic = await TunnelTraffic.start(collector.ports[0]!, ['127.0.0.2', '127.0.0.3'])
})
afterEach(async () => {
  traffic.stop()
  await collector.dispose()
})

async function open(width: number, colorScheme: 'light' | 'dark'): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme })
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) complaints.push(request.url())
  })
  await page.goto(url)
  return page
}

async function report(): Promise<Report> {
  return (await (await fetch(`${url}report`)).json()) as Report
}

/** Digits of an element's text; thin spaces stand between thousands. */
async function figure(page: Page, selector: string): Promise<number> {
  return Number((await page.locator(selector).first().innerText()).replaceAll('\u202f', ''))
}

async function table(page: Page, id: string): Promise<Record<string, number>> {
  const rows = await page.locator(`#${id} tr`).all()
  const cells = await Promise.all(rows.map(async (row) => await row.locator('td').allInnerTexts()))
  return Object.fromEntries(cells.map((row) => [row[0]!, Number(row[2]!.replaceAll('\u202f', ''))]))
}

it('shows what the report says, while traffic flows and when it has ended', async () => {
  const page = await open(1280, 'light')
  await until('figures are there', async () => (await figure(page, '#received')) > 0)
  const names = ['received', 'delivered'] as const
  for (let look = 0; look < 3; look++) {
    const before = await report()
    await until('the page is newer', async () => (await figure(page, '#received')) >= before.received)
    const shown = { received: await figure(page, '#received'), delivered: await figure(page, '#delivered') }
    const after = await report()
    for (const name of names) {
      expect(shown[name]).toBeGreaterThanOrEqual(before[name])
      expect(shown[name]).toBeLessThanOrEqual(after[name])
    }
    await until('it moves on', async () => (await figure(page, '#received')) > shown.received)
  }
  await until('the rate is shown', async () => (await figure(page, '#in-rate')) > 100)
  traffic.stop()
  await until('the page has all', async () => (await figure(page, '#received')) === traffic.sent)
  const end = await report()
  expect(await figure(page, '#delivered')).toBe(end.delivered)
  expect(await table(page, 'vnis')).toEqual(end.vnis)
  expect(await table(page, 'reasons')).toEqual({ 'dropped by the kernel': 0, ...end.dropped })
  expect(await table(page, 'sinks')).toEqual({ null: end.sinks[0]!.written })
  expect(Object.keys(await table(page, 'peers')).sort()).toEqual(['127.0.0.2', '127.0.0.3'])
  expect(await page.locator('#warnings').innerText()).toMatch(/10\.\d % of the packets were refused .*bad-flags/)
  expect(complaints).toEqual([])
  await page.close()
})

it('plots lines that are really drawn', async () => {
  const page = await open(1280, 'light')
  const canvas = page.locator('#frames-plot canvas')
  /** How many points of the picture have the colour of "delivered". */
  const drawn = async () =>
    await canvas.evaluate((node) => {
      const { width, height } = node as unknown as { width: number; height: number }
      const pixels = (node as unknown as HTMLCanvas).getContext('2d').getImageData(0, 0, width, height).data
      let count = 0
      for (let i = 0; i < pixels.length; i += 4) {
        if (pixels[i] === 0x23 && pixels[i + 1] === 0x87 && pixels[i + 2] === 0x5a) count++
      }
      return count
    })
  await until('a line is there', async () => (await drawn()) > 10)
  await page.close()
})

interface HTMLCanvas {
  getContext(kind: '2d'): { getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray } }
}

it('is light and dark, and fits a phone', async () => {
  const grounds: string[] = []
  for (const scheme of ['light', 'dark'] as const) {
    const page = await open(390, scheme)
    await until('figures are there', async () => (await figure(page, '#received')) > 0)
    grounds.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
    await page.close()
  }
  expect(new Set(grounds).size).toBe(2)
  expect(complaints).toEqual([])
})

it('says when the collector no longer answers', async () => {
  const page = await open(800, 'dark')
  await until('it collects', async () => (await page.locator('#state').innerText()) === 'collecting')
  traffic.stop()
  await collector.stop()
  await until('it says so', async () => (await page.locator('#state').innerText()) === 'no answer')
  await page.close()
})
