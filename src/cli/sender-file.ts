import { EXIT_CONFIGURATION, Failure } from '../config/terms/failure.ts'
import { listProblems, MOST_PROBLEMS } from '../config/terms/problem.ts'
import { textOf, unknownKey, YamlFile } from './yaml-file.ts'

/**
 * The options of a mirror's YAML file: the command line's, under their own names (`source-port: 40000-50000`). Gives those
 * that are `taken`, by the names that the schema has for them. Throws a Failure that tells all problems.
 */
export function readMirrorFile(
  path: string,
  known: readonly string[],
  taken: readonly string[],
): Record<string, string> {
  const problems: string[] = []
  const options: Record<string, string> = {}
  for (const { key, value, place } of new YamlFile(path).entries()) {
    const text = textOf(value)
    if (problems.length >= MOST_PROBLEMS && !known.includes(key)) problems.push('')
    else if (!known.includes(key)) problems.push(`${place}: ${unknownKey(key, known).split('\n')[0]}.`)
    else if (text === undefined) problems.push(`${place}: "${key}" has no value that is a text or a number.`)
    else if (taken.includes(key)) options[camel(key)] = text
  }
  if (problems.length === 0) return options
  throw new Failure(EXIT_CONFIGURATION, listProblems(problems), 'Its keys are the options of "mirror-sender up".')
}

function camel(key: string): string {
  return key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
