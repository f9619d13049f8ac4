import { randomUUID } from 'node:crypto'

/** What the names of all topics of this process begin with, and of no other's. */
export const TOPIC_PREFIX: string = `test-${randomUUID()}-`

let topics = 0

/** A name that no other test uses. */
export function freshTopic(): string {
  topics++
  return `${TOPIC_PREFIX}${topics}`
}
