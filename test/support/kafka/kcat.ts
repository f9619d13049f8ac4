import { execFileSync } from 'node:child_process'

/** A record as kcat, which is another's client, reads it. */
export interface KcatRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  /** Lower-case hexadecimal. */
  readonly key: string
  readonly value: string
  readonly headers: Record<string, string>
}

/** All records of a topic, each partition in order. */
export function readTopic(brokers: string, topic: string): KcatRecord[] {
  const options = ['-b', brokers, '-t', topic, '-C', '-e', '-q', '-o', 'beginning']
  // Fields of known width in front, then lengths, then bytes: they may be any.
  const format = '%p %o %T %K %S %h\n%k%s\n'
  const bytes = execFileSync('kcat', [...options, '-f', format], { maxBuffer: 1 << 30 })
  const records: KcatRecord[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at)
    const [partition, offset, timestamp, keyLength, valueLength, headers = ''] = bytes
      .toString('latin1', at, end)
      .split(' ')
    const keyAt = end + 1
    const valueAt = keyAt + Math.max(0, Number(keyLength))
    const valueEnd = valueAt + Math.max(0, Number(valueLength))
    records.push({
      partition: Number(partition),
      offset: Number(offset),
      timestamp: Number(timestamp),
      key: bytes.toString('hex', keyAt, valueAt),
      value: bytes.toString('hex', valueAt, valueEnd),
      headers: Object.fromEntries(
        headers
          .split(',')
          .filter((pair) => pair !== '')
          .map((pair) => pair.split('=')),
      ),
    })
    at = valueEnd + 1
  }
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}
