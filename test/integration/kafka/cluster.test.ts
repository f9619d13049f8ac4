import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../../support/collector.ts'
import { runCommand } from '../../support/command.ts'
import { freePort, KafkaBroker } from '../../support/kafka/broker.ts'
import { readTopic } from '../../support/kafka/kcat.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { requires, unmet } from '../../support/requirements.ts'
import { numberedDatagrams, numberOf, send } from '../../support/sender.ts'
import { until } from '../../support/waiting.ts'

const GOLDEN = new URL('../../golden/', import.meta.url).pathname
const LIMIT_MS = 120_000
const it = requires('build', 'own-kafka', 'kcat', 'openssl', 'tshark')
const folder = mkdtempSync(join(tmpdir(), 'cluster-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a cluster of two', () => {
  const brokers: KafkaBroker[] = []
  const running: Collector[] = []
  beforeAll(async () => {
    if (unmet('own-kafka').length > 0) return
    const first = await KafkaBroker.start()
    brokers.push(first)
    brokers.push(await KafkaBroker.start({ node: { id: 2, controllerPort: first.controllerPort } }))
  }, LIMIT_MS)
  afterEach(async () => {
    for (const collector of running.splice(0)) await collector.dispose()
  })
  afterAll(async () => {
    for (const broker of brokers) await broker.dispose()
  })

  it(
    'the leader moves to another broker while frames come: all arrive, once and in order',
    async () => {
      const topic = freshTopic()
      const [first, second] = brokers
      await first!.admin((admin) =>
        admin.createTopics({
          waitForLeaders: true,
          topics: [{ topic, replicaAssignment: [{ partition: 0, replicas: [1, 2] }] }],
        }),
      )
      const leader = () =>
        first!.admin(
          async (admin) => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]!.partitions[0]!.leader,
        )
      const collector = await startCollector([
        '--listen',
        'vxlan://127.0.0.1:0',
        '--out',
        `kafka:${first!.address}/${topic}`,
      ])
      running.push(collector)
      let sent = 0
      const feed = async () => {
        await send(numberedDatagrams(200, { first: sent }), collector.ports[0]!)
        sent += 200
        await until('they have arrived', async () => (await collector.statistics()).received === sent)
      }
      expect(await leader()).toBe(1)
      await feed()
      await first!.admin((admin) =>
        admin.alterPartitionReassignments({
          topics: [{ topic, partitionAssignment: [{ partition: 0, replicas: [2] }] }],
        }),
      )
      while ((await leader()) !== 2) await feed()
      await feed()
      await until('all is written', async () => (await collector.statistics()).sinks[0]!.written === sent, 30_000)
      expect(await collector.stop()).toBe(0)
      expectBalance(collector.report())
      const numbers = readTopic(second!.address, topic).map(({ value }) => numberOf(value))
      expect(numbers).toEqual(Array.from({ length: sent }, (_, i) => i))
    },
    LIMIT_MS,
  )
})

describe('a broker that asks who is there', () => {
  const PASSWORD = 'zx81-not-to-be-seen'
  let broker: KafkaBroker
  let saslPort: number
  let tlsPort: number
  const passwordFile = join(folder, 'password')
  beforeAll(async () => {
    if (unmet('own-kafka', 'openssl').length > 0) return
    writeFileSync(passwordFile, `${PASSWORD}\n`)
    const [port, controller] = [await freePort(), await freePort()]
    saslPort = await freePort()
    tlsPort = await freePort()
    const keys = makeCertificate()
    const host = 'localhost'
    const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required user_mirror="${PASSWORD}";`
    broker = await KafkaBroker.start({
      ports: { broker: port, controller },
      format: ['--add-scram', `SCRAM-SHA-512=[name=mirror,password=${PASSWORD}]`],
      properties: {
        listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller},SASL_PLAINTEXT://127.0.0.1:${saslPort},SASL_SSL://127.0.0.1:${tlsPort}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://127.0.0.1:${saslPort},SASL_SSL://${host}:${tlsPort}`,
        'listener.security.protocol.map':
          'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL',
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
        'listener.name.sasl_plaintext.plain.sasl.jaas.config': plain,
        'listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config':
          'org.apache.kafka.common.security.scram.ScramLoginModule required;',
        'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config':
          'org.apache.kafka.common.security.scram.ScramLoginModule required;',
        'listener.name.sasl_ssl.sasl.enabled.mechanisms': 'SCRAM-SHA-512',
        'auto.create.topics.enable': 'true',
        'num.partitions': '3',
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.location': keys.store,
      },
    })
  }, LIMIT_MS)
  afterAll(async () => broker?.dispose())

  /** A key and a certificate for localhost, signed by itself. */
  function makeCertificate(): { store: string } {
    const [key, certificate, store] = ['key.pem', 'ca.pem', 'store.pem'].map((name) => join(folder, name))
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '2']
    const options = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key!, '-out', certificate!, ...subject]
    execFileSync('openssl', ['req', ...options], { stdio: ['ignore', 'ignore', 'pipe'] })
    execFileSync('sh', ['-c', `cat ${key} ${certificate} > ${store}`])
    return { store: store! }
  }

  async function decapTo(
    location: string,
    settings: string,
  ): Promise<{ exitCode: number | null; text: string; frames: number }> {
    const topic = freshTopic()
    await broker.createTopic(topic)
    const out = `kafka:${location}/${topic}?${settings}`
    const { exitCode, lines } = runCommand([
      'decap',
      join(GOLDEN, 'kernel-ipv4.pcap'),
      '--log-level',
      'debug',
      '--out',
      out,
    ])
    return { exitCode, text: lines.join('\n'), frames: readTopic(broker.address, topic).length }
  }

  it.each(['', '-{vni}'])(
    'a topic that nobody has made, named %j: the broker makes it, and no frame is lost',
    (name) => {
      const topic = freshTopic()
      const out = `kafka:${broker.address}/${topic}${name}`
      const { exitCode, lines } = runCommand(['decap', join(GOLDEN, 'kernel-ipv4.pcap'), '--out', out])
      expect([exitCode, lines.at(-1)]).toEqual([0, `${out}: 5 frames written`])
      expect(readTopic(broker.address, `${topic}${name.replace('{vni}', '42')}`)).toHaveLength(5)
    },
  )

  it.each(['plain', 'scram-sha-512'])('sasl=%s with the right password, and with a wrong one', async (mechanism) => {
    const who = `sasl=${mechanism}&user=mirror`
    const right = await decapTo(`127.0.0.1:${saslPort}`, `${who}&password-file=${passwordFile}`)
    expect(right).toMatchObject({ exitCode: 0, frames: 5 })
    const wrongFile = join(folder, 'wrong')
    writeFileSync(wrongFile, 'something else')
    const wrong = await decapTo(`127.0.0.1:${saslPort}`, `${who}&password-file=${wrongFile}`)
    expect(wrong).toMatchObject({ exitCode: 77, frames: 0 })
    expect(wrong.text).toContain(`Kafka at 127.0.0.1:${saslPort} refuses the credentials`)
    expect(right.text + wrong.text).not.toContain(PASSWORD)
    expect(wrong.text).not.toContain('something else')
  })

  it('TLS with the certificate it knows, and without', async () => {
    const who = `sasl=scram-sha-512&user=mirror&password-file=${passwordFile}&tls=on`
    const known = await decapTo(`localhost:${tlsPort}`, `${who}&tls-ca=${join(folder, 'ca.pem')}`)
    expect(known).toMatchObject({ exitCode: 0, frames: 5 })
    const unknown = await decapTo(`localhost:${tlsPort}`, who)
    expect(unknown).toMatchObject({ exitCode: 69, frames: 0 })
    expect(unknown.text).toContain('self-signed certificate')
  })

  it('reads back through TLS and SASL, too', async () => {
    const topic = freshTopic()
    await broker.createTopic(topic)
    const decap = ['decap', join(GOLDEN, 'kernel-ipv4.pcap'), '--out', `kafka:${broker.address}/${topic}`]
    expect(runCommand(decap).exitCode).toBe(0)
    const who = `sasl=scram-sha-512&user=mirror&password-file=${passwordFile}&tls=on&tls-ca=${join(folder, 'ca.pem')}`
    const back = runCommand([
      '--listen',
      `kafka:localhost:${tlsPort}/${topic}?group=tls&${who}`,
      '--out',
      'null',
      '--count',
      '5',
    ])
    expect(back.lines).toContain('5 frames captured')
    const wrong = runCommand([
      '--listen',
      `kafka:127.0.0.1:${saslPort}/${topic}?sasl=plain&user=nobody&password-file=${passwordFile}`,
      '--out',
      'null',
    ])
    expect(wrong.exitCode).toBe(77)
  })
})
