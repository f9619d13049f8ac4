import { expect, test } from 'vitest'
import { sectionsOf } from '../../src/cli/help.ts'
import { listenSettings } from '../../src/kafka/listen.ts'

test('--help has every setting of --listen kafka:, and both places where a group may begin', () => {
  const about = sectionsOf('mirror-collector').find(({ heading }) => heading.includes('Kafka'))
  const text = about?.lines.join('\n') ?? ''
  const missing = Object.keys(listenSettings.shape).filter((key) => !new RegExp(`(?<![a-z-])${key}[=,:]`).test(text))
  expect(missing).toEqual([])
  expect(text).toContain('from=earliest | latest')
})
