import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createProgram as collector } from '../../src/cli/program.ts'
import { createProgram as sender } from '../../src/cli/sender-program.ts'
import { DIRECTIONS, HEADER_LAYERS, SENDER_ENCAPSULATIONS } from '../../src/config/sender-options.ts'
import { manPage } from '../support/man-page.ts'
import { requires } from '../support/requirements.ts'

const PROJECT = new URL('../../', import.meta.url).pathname

test('the man pages are those that --help makes: npm run generate', () => {
  const { man } = JSON.parse(readFileSync(`${PROJECT}package.json`, 'utf8')) as { man: string[] }
  const made = [collector(() => {}), sender()].map(manPage)
  expect(man.map((page) => readFileSync(PROJECT + page, 'utf8'))).toEqual(made)
})

test('no description of an option is empty, begins with a value, or leans on the one before it', () => {
  const programs = [collector(() => {}), sender()]
  const options = programs.flatMap((program) => [program, ...program.commands]).flatMap((command) => command.options)
  const values: readonly string[] = [...SENDER_ENCAPSULATIONS, ...DIRECTIONS, ...HEADER_LAYERS]
  const isWanting = (description: string, choices: readonly string[] = []) => {
    const [first = ''] = description.split(/[ ,:]/)
    return first === '' || [...values, ...choices].includes(first) || LEANING.test(description)
  }
  const wanting = options.filter(({ description, argChoices }) => isWanting(description, argChoices))
  expect(wanting.map(({ flags, description }) => `${flags}: ${description}`)).toEqual([])
})

const LEANING = /^(the same$|default|in this|of which|one inside|those|for programs|Wireshark's$)/

/** Bold is a letter, a backspace and the letter again. */
function withoutOverstrikes(text: string): string {
  const parts = text.split('\b')
  return parts.map((part, i) => (i < parts.length - 1 ? part.slice(0, -1) : part)).join('')
}

requires('mandoc').each(['mirror-collector', 'mirror-sender'])(
  '%s.1 is sound to mandoc, which shows what --help has',
  (name) => {
    const page = `${PROJECT}config/man/${name}.1`
    const { stdout: complaints } = spawnSync('mandoc', ['-Tlint', '-Wwarning', page], { encoding: 'utf8' })
    // It changes with the program, which has no date.
    expect(complaints.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([])
    const { stdout: shown } = spawnSync('mandoc', ['-Tascii', '-Owidth=200', page], { encoding: 'utf8' })
    const text = withoutOverstrikes(shown).replaceAll(/\s+/g, ' ')
    const program = name === 'mirror-sender' ? sender() : collector(() => {})
    let help = ''
    program
      .configureOutput({
        writeOut: (more) => {
          help += more
        },
      })
      .outputHelp()
    // Of itself --help is not told.
    const words = [...new Set(help.match(/--[a-z][a-z-]*|[a-z-]+:\S+|\d\d [a-z ,]+$/gm))].filter(
      (word) => word !== '--help',
    )
    expect(words.length).toBeGreaterThan(name === 'mirror-sender' ? 10 : 50)
    expect(words.filter((word) => !text.includes(word.replaceAll(/\s+/g, ' ').trim()))).toEqual([])
  },
)
