import type { Command, Option } from 'commander'
import { type Section, sectionsOf } from '../../src/cli/help.ts'

/** A page of section 1 in man(7)'s language, from what --help is made of. */
export function manPage(program: Command): string {
  const name = program.name()
  const lines = [
    `.TH ${name.toUpperCase()} 1 "" "${name}"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(program.description().replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    ...[program, ...program.commands].flatMap((command) => ['.nf', synopsis(command), '.fi']),
    '.SH OPTIONS',
    ...optionsOf(program, []),
    '.SH COMMANDS',
    ...program.commands.flatMap((command) => [
      `.SS ${command.name()}`,
      roff(sentence(command.description())),
      ...optionsOf(command, program.options),
      ...ownSections(command).flatMap((section) => ['.PP', `${roff(section.heading)}:`, ...literal(section)]),
    ]),
    ...sectionsOf(program.name()).flatMap((section) => [
      `.SH ${roff(section.heading).toUpperCase()}`,
      ...literal(section),
    ]),
  ]
  return `${lines.join('\n')}\n`
}

function synopsis(command: Command): string {
  const parents = command.parent === null ? '' : `${command.parent.name()} `
  return `${roff(parents + command.name())} ${roff(command.usage())}`
}

/** Those that the program itself has with the same words are told there. */
function optionsOf(command: Command, told: readonly Option[]): string[] {
  const isTold = (option: Option) =>
    told.some(({ flags, description }) => flags === option.flags && description === option.description)
  const own = command.options.filter((option) => !isTold(option))
  const rows = own.flatMap(({ flags, description, argChoices }) => [
    '.TP',
    `\\fB${roff(flags)}\\fR`,
    roff(sentence(argChoices === undefined ? description : `${description}: ${argChoices.join(', ')}`)),
  ])
  return own.length < command.options.length ? [...rows, '.PP', 'Other options as above.'] : rows
}

function ownSections(command: Command): Section[] {
  const told = new Set(sectionsOf(command.parent!.name()).map(({ lines }) => lines.join()))
  return sectionsOf(command.name()).filter(({ lines }) => !told.has(lines.join()))
}

function literal({ lines }: Section): string[] {
  return ['.nf', ...lines.map((line) => (line === '' ? '\\&' : roff(line))), '.fi']
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`
}

/** man(7): a backslash begins an escape, a point or apostrophe at the line's start a request, and a bare hyphen may become a dash. */
function roff(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replace(/^\./, '\\&.')
}
