import { expect, test } from 'vitest'
import { idRanges } from '../../../src/config/terms/id-ranges.ts'
import { refusal } from '../refusal.ts'

test('a list has identifiers, ranges and denials', () => {
  expect(idRanges.parse('100,200-299,!250,!7-9')).toEqual([
    { from: 100, to: 100, deny: false },
    { from: 200, to: 299, deny: false },
    { from: 250, to: 250, deny: true },
    { from: 7, to: 9, deny: true },
  ])
})

test.each([
  ['0', 0, 0],
  ['16777215', 16_777_215, 16_777_215],
  ['4294967295', 4_294_967_295, 4_294_967_295],
  ['0-4294967295', 0, 4_294_967_295],
  ['5-5', 5, 5],
])('%s is a range from %d to %d', (text, from, to) => {
  expect(idRanges.parse(text)).toEqual([{ from, to, deny: false }])
})

test('blanks behind commas are free', () => {
  expect(idRanges.parse('1, 2-3').length).toBe(2)
})

test.each([
  ['', '"" is neither an identifier nor a range'],
  ['1,,2', '"" is neither an identifier nor a range'],
  ['100,', '"" is neither an identifier nor a range'],
  ['1,abc', '"abc" is neither an identifier nor a range'],
  ['-5', '"-5" is neither an identifier nor a range'],
  ['1-2-3', '"1-2-3" is neither an identifier nor a range'],
  ['!!5', '"!!5" is neither an identifier nor a range'],
  ['0x64', '"0x64" is neither an identifier nor a range'],
  ['1.5', '"1.5" is neither an identifier nor a range'],
  ['1;2', '"1;2" is neither an identifier nor a range'],
  ['300-200', 'the range 300-200 runs backwards'],
  ['4294967296', '4294967296 is above 4294967295, the largest identifier there is'],
  ['1-4294967296', '4294967296 is above 4294967295, the largest identifier there is'],
])('"%s" is refused: %s', (text, what) => {
  const { what: said, mend } = refusal(idRanges, text)
  expect(said).toBe(what)
  expect(mend).toContain('e.g. 100,200-299,!250')
})
