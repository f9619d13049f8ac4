let topics = 0

/** A name that no other test uses. */
export function freshTopic(): string {
  topics++
  return `test-${process.pid}-${topics}`
}
