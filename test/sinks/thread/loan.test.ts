import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DirectWrites } from '../../../src/sinks/thread/direct-writes.ts'
import { Borrower, createLoan, Lender, type Loan } from '../../../src/sinks/thread/loan.ts'
import { Queue } from '../../frames/queue.ts'
import { requires } from '../../support/requirements.ts'
import { SmallDisk } from '../../support/small-disk.ts'

const ALWAYS = { start: Number.NEGATIVE_INFINITY, end: Number.POSITIVE_INFINITY }
const RECORD = 64 << 10
const alive = () => false

let folder = ''
let path = ''
let fd = -1
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'loan-'))
  path = join(folder, 'lent')
  fd = openSync(path, 'a')
})
afterEach(() => {
  closeSync(fd)
  rmSync(folder, { recursive: true, force: true })
})

/** A queue whose records may go to the file, and the side that lends it. */
function lentTo(terms: Partial<Loan> = {}): { queue: Queue; lender: Lender; direct: DirectWrites } {
  const queue = new Queue(4 << 20)
  const memory = createLoan()
  const lender = new Lender(memory)
  lender.offer({ fd, room: Number.POSITIVE_INFINITY, interval: ALWAYS, ...terms })
  return { queue, lender, direct: new DirectWrites(queue.producer, memory) }
}

function put(queue: Queue, records: number, second = 0): void {
  for (let number = 0; number < records; number++) expect(queue.put(number, RECORD, 0, second)).toBe(true)
}

test('records are written once enough have come together, or when all are asked for; the lender learns of them', () => {
  const { queue, lender, direct } = lentTo()
  put(queue, 3)
  direct.write(queue.slab, false)
  expect(readFileSync(path)).toHaveLength(0)
  put(queue, 1)
  direct.write(queue.slab, false)
  expect(readFileSync(path)).toHaveLength(4 * RECORD)
  put(queue, 1)
  direct.write(queue.slab, true)
  const bytes = readFileSync(path)
  expect(bytes).toHaveLength(5 * RECORD)
  for (const [at, number] of [0, 1, 2, 0, 0].entries()) {
    expect([bytes.readUInt32BE(at * RECORD), bytes.readUInt32BE(at * RECORD + 4)]).toEqual([RECORD, number])
  }
  expect(queue.consumer.isEmpty()).toBe(true)
  expect(lender.recall(alive)).toEqual({ frames: 5, bytes: 5 * RECORD, isBroken: false })
})

test.each<[string, Partial<Loan>]>([
  ['more than the file has room for', { room: 8 * RECORD - 1 }],
  ['frames of after its interval', { interval: { start: 0, end: 100 } }],
  ['frames of before its interval', { interval: { start: 101, end: 200 } }],
])('%s are for the queue, and so is what comes behind them', (_what, terms) => {
  const { queue, lender, direct } = lentTo(terms)
  put(queue, 8, 100)
  direct.write(queue.slab, true)
  expect(readFileSync(path)).toHaveLength(0)
  queue.producer.publish()
  expect(queue.consumer.isEmpty()).toBe(false)
  put(queue, 4, 50)
  direct.write(queue.slab, true)
  expect(readFileSync(path)).toHaveLength(0)
  expect(lender.recall(alive)).toEqual({ frames: 0, bytes: 0, isBroken: false })
})

test('the last byte of the room, and both ends of the interval, may be used', () => {
  const { queue, lender, direct } = lentTo({ room: 8 * RECORD, interval: { start: 100, end: 102 } })
  put(queue, 4, 100)
  direct.write(queue.slab, true)
  put(queue, 4, 101)
  direct.write(queue.slab, true)
  expect(lender.recall(alive)).toEqual({ frames: 8, bytes: 8 * RECORD, isBroken: false })
})

test('nothing is written where nothing is lent', () => {
  const { queue, lender, direct } = lentTo()
  lender.recall(alive)
  put(queue, 8)
  direct.write(queue.slab, true)
  expect(readFileSync(path)).toHaveLength(0)
})

test('a write that fails leaves its records to the queue, and nothing more is written until they were taken', () => {
  closeSync(fd)
  fd = openSync(path, 'r')
  const { queue, lender, direct } = lentTo()
  put(queue, 4)
  direct.write(queue.slab, false)
  expect(queue.consumer.isEmpty()).toBe(false)
  expect(lender.recall(alive)).toEqual({ frames: 0, bytes: 0, isBroken: true })
  lender.offer({ fd, room: Number.POSITIVE_INFINITY, interval: ALWAYS })
  put(queue, 4)
  direct.write(queue.slab, true)
  expect(lender.recall(alive)).toEqual({ frames: 0, bytes: 0, isBroken: false })
})

requires('root')('of a write for which the disk has no room nothing stays, wherever the file ended', () => {
  const disk = new SmallDisk(join(folder, 'disk'), 1)
  try {
    const file = join(disk.path, 'lent')
    writeFileSync(file, Buffer.alloc(200 << 10))
    writeFileSync(join(disk.path, 'other'), Buffer.alloc(700 << 10))
    const small = openSync(file, 'a')
    const { queue, lender, direct } = lentTo({ fd: small })
    truncateSync(file, 24)
    put(queue, 8)
    direct.write(queue.slab, false)
    expect(statSync(file).size).toBe(24)
    expect(queue.consumer.isEmpty()).toBe(false)
    expect(lender.recall(alive)).toEqual({ frames: 0, bytes: 0, isBroken: true })
    closeSync(small)
  } finally {
    disk.dispose()
  }
})

test('who dies while it writes leaves a loan that is broken, with what it had finished', () => {
  const memory = createLoan()
  const lender = new Lender(memory)
  lender.offer({ fd, room: 1000, interval: ALWAYS })
  const borrower = new Borrower(memory)
  expect(borrower.borrow(600, 0, 0)).toBe(fd)
  borrower.giveBack(6, 600)
  expect(borrower.borrow(401, 0, 0)).toBe(-1)
  expect(borrower.borrow(400, 0, 0)).toBe(fd)
  let looks = 0
  expect(lender.recall(() => ++looks > 3)).toEqual({ frames: 6, bytes: 600, isBroken: true })
  expect(looks).toBe(4)
  expect(borrower.borrow(1, 0, 0)).toBe(-1)
})
