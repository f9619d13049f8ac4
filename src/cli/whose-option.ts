import type { Command } from 'commander'

/** Has each command's refusals point to its own help, and say of an option that others have whose it is. */
export function tellWhoseOptions(program: Command): void {
  const { outputError } = program.configureOutput()
  const all = [program, ...program.commands]
  for (const command of all) {
    const reworded = (text: string) =>
      text.replace(/^error: unknown option '([^'=]*).*$/s, (whole, flag: string) => {
        const owners = all.filter(({ options }) => options.some(({ short, long }) => [short, long].includes(flag)))
        return owners.length === 0
          ? whole
          : `error: ${flag} is an option of ${list(owners)}, not of ${command.name()}.\n`
      })
    command.configureOutput({ outputError: (text, write) => outputError?.(reworded(text), write) })
    if (command !== program) command.showHelpAfterError(`See ${program.name()} ${command.name()} --help.`)
  }
}

function list(commands: readonly Command[]): string {
  const names = commands.map((command) => command.name())
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
