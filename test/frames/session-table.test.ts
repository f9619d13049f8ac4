import { expect, test } from 'vitest'
import { NO_SESSION, SessionTable } from '../../src/frames/session-table.ts'

test('a table made on the memory of another goes on with its numbers', () => {
  const memory = new SharedArrayBuffer(SessionTable.bytesFor(3))
  const first = new SessionTable(memory, 3)
  const numbers = [7, 8].map((tunnelId) => first.indexOf(2, 1, tunnelId))
  const second = new SessionTable(memory, 3)
  expect([8, 7].map((tunnelId) => second.indexOf(2, 1, tunnelId))).toEqual([...numbers].reverse())
  expect([second.indexOf(3, 1, 7), second.indexOf(4, 1, 7), second.count]).toEqual([2, NO_SESSION, 3])
})
