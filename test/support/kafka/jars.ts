import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const PROJECT = new URL('../../../', import.meta.url).pathname
const POM = new URL('pom.xml', import.meta.url).pathname
/** Beside what npm installs, and like that never committed. */
const CACHE = join(PROJECT, 'node_modules/.cache/kafka-for-tests')
const LIMIT_MS = 300_000

let known: { classpath: string | undefined } | undefined

/** The class path of Kafka's broker and tools, fetched by Maven if it is not there yet; undefined where that cannot be. */
export function kafkaClasspath(): string | undefined {
  known ??= { classpath: resolveClasspath() }
  return known.classpath
}

function resolveClasspath(): string | undefined {
  const file = join(CACHE, 'classpath')
  if (spawnSync('java', ['-version']).status !== 0) return undefined
  if (existsSync(file) && statSync(file).mtimeMs > statSync(POM).mtimeMs) {
    const classpath = readFileSync(file, 'utf8')
    if (classpath.split(':').every((jar) => existsSync(jar))) return classpath
  }
  mkdirSync(CACHE, { recursive: true })
  const goal = ['dependency:build-classpath', `-Dmdep.outputFile=${file}`, '-Dmdep.regenerateFile=true']
  // Test files run side by side: one fetches, and the others wait for it.
  const fetch = [join(CACHE, 'lock'), 'mvn', '-B', '-q', '-f', POM, ...goal]
  const { status } = spawnSync('flock', fetch, { timeout: LIMIT_MS })
  return status === 0 ? readFileSync(file, 'utf8') : undefined
}
