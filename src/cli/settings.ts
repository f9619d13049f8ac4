import type { Option } from 'commander'
import { nearestName } from '../config/terms/nearest.ts'
import { kebab, type Origin, problem } from '../config/terms/problem.ts'
import { type FileOptions, type Given, isRepeated, pathKey, readOptionFile } from './option-file.ts'

const PREFIX = 'MIRROR_COLLECTOR_'
const TRUE = ['1', 'true', 'yes', 'on']
const FALSE = ['0', 'false', 'no', 'off']
/** These are about the command, and no file has them. */
const NOT_IN_FILES = ['config', 'version', 'help', 'print', 'json']

/** What Kubernetes sets in every container, behind the prefix, where a service has this program's name. */
const OF_KUBERNETES = /^(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?)?)$/

/** What a command may be given, and where. */
export interface SettingsSource {
  /** The command's own options. */
  readonly options: readonly Option[]
  /** Those that a file may have, as one file serves several commands. */
  readonly fileOptions: readonly Option[]
  readonly flags: Given
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The options that were given, however: the command line overrides the environment, and that the file. */
export interface Settings extends Origin, SettingsOrigin {
  readonly given: Given
}

/** What a command has to know of its settings beside their values. */
export interface SettingsOrigin {
  /** The file, if one was given. */
  readonly file: string | undefined
  /** For the log: variables that look like an option's and are none's. */
  readonly warnings: readonly string[]
}

/** MIRROR_COLLECTOR_ALLOW_FROM for --allow-from. */
export function variableOf(option: Option): string {
  return PREFIX + option.name().replaceAll('-', '_').toUpperCase()
}

/** Throws Failure where the file cannot be read or is no YAML; what else is wrong is kept as problems. */
export function readSettings({ options, fileOptions, flags, environment }: SettingsSource): Settings {
  const mine = options.filter((option) => !NOT_IN_FILES.includes(option.name()))
  const variables = fromEnvironment(mine, environment)
  const { config = environment[`${PREFIX}CONFIG`] || undefined, ...rest } = flags
  const known = fileOptions.filter((option) => !NOT_IN_FILES.includes(option.name()))
  const file: FileOptions =
    typeof config === 'string' ? readOptionFile(config, known, mine) : { values: {}, places: new Map(), problems: [] }
  const isFlag = (name: PropertyKey | undefined) => name === undefined || Object.hasOwn(rest, name)
  return {
    given: { ...file.values, ...variables.values, ...rest },
    file: config as string | undefined,
    warnings: strangers(environment, [...known, ...mine]),
    problems: [...variables.problems, ...file.problems],
    isCommandLine: ([name]) =>
      isFlag(name) || !(Object.hasOwn(variables.values, name!) || Object.hasOwn(file.values, name!)),
    placeOf: (path) => {
      const [name] = path
      if (name === undefined) return ''
      const option = mine.find((each) => each.attributeName() === name)
      if (isFlag(name) || option === undefined) return `--${kebab(String(name))}: `
      if (Object.hasOwn(variables.values, name)) return `${variableOf(option)}: `
      return longestPlace(file.places, path) ?? `--${option.name()}: `
    },
  }
}

function longestPlace(places: ReadonlyMap<string, string>, path: readonly PropertyKey[]): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const place = places.get(pathKey(path.slice(0, length)))
    if (place !== undefined) return place
  }
  return undefined
}

/** Only the options' own variables are looked at: Kubernetes sets others that begin alike, for a service of this name. */
function fromEnvironment(
  options: readonly Option[],
  environment: SettingsSource['environment'],
): { values: Given; problems: string[] } {
  const values: Given = {}
  const problems: string[] = []
  for (const option of options) {
    const text = environment[variableOf(option)]
    if (text === undefined || text === '') continue
    if (isRepeated(option)) values[option.attributeName()] = text.split('\n').filter((line) => line !== '')
    else if (!option.isBoolean()) values[option.attributeName()] = text
    else if ([...TRUE, ...FALSE].includes(text.toLowerCase()))
      values[option.attributeName()] = TRUE.includes(text.toLowerCase())
    else
      problems.push(`${variableOf(option)}: ${problem(`"${text}" is neither true nor false`, 'Write true or false.')}`)
  }
  return { values, problems }
}

/** No reason to refuse to run: other programs may set variables that begin alike. */
function strangers(environment: SettingsSource['environment'], options: readonly Option[]): string[] {
  const known = ['CONFIG', ...options.map((option) => variableOf(option).slice(PREFIX.length))]
  return Object.entries(environment).flatMap(([variable, text]) => {
    const name = variable.slice(PREFIX.length)
    if (!variable.startsWith(PREFIX) || text === '' || known.includes(name) || OF_KUBERNETES.test(name)) return []
    const nearest = nearestName(name, known)
    return `${variable} is no option's variable and is ignored${nearest === undefined ? '' : `; the nearest is ${PREFIX}${nearest}`}.`
  })
}
