import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type BuildOptions, build, type ChunkingContext, type CodeSplittingGroup } from 'rolldown'
import { filesBeside } from './files-beside.ts'
import { licences } from './licences.ts'

/**
 * Makes few files of the commands' many, in place of theirs: each thread opens what it loads, one by one, which was half of
 * the time until a start had begun to collect. Packages that package.json has in `dependencies` stay outside.
 */
export async function bundle(project: string, compiled: string): Promise<void> {
  const folder = join(compiled, 'bin')
  const { dependencies } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const commands = readdirSync(folder).filter((name) => name.endsWith('.js'))
  const threads = new Map<string, string>()
  const options: BuildOptions = {
    cwd: compiled,
    platform: 'node',
    external: Object.keys(dependencies),
    plugins: [filesBeside(compiled, folder, threads), licences()],
    // Offsets and codes of other modules would else be looked up for every frame.
    optimization: { inlineConst: { mode: 'all' } },
    preserveEntrySignatures: 'allow-extension',
    onwarn: ({ message }) => {
      throw new Error(message)
    },
  }
  const output = { dir: folder, entryFileNames: '[name].js', comments: false, minifyInternalExports: false }
  await build({
    ...options,
    input: Object.fromEntries(commands.map((name) => [basename(name, '.js'), join(folder, name)])),
    output: { ...output, codeSplitting: { includeDependenciesRecursively: false, groups: groupsOf(compiled) } },
  })
  // By themselves: what a thread has in common with the main thread it loads anew anyway, in fewer files so.
  await build({ ...options, input: Object.fromEntries(threads), output })
  for (const name of commands) chmodSync(join(folder, name), 0o755)
}

/** What a start loads together is one file. The first comes alone, as a worker starts while the rest is read. */
function groupsOf(compiled: string): CodeSplittingGroup[] {
  const group = (name: string, ...loaders: string[]): CodeSplittingGroup => ({
    debugName: name,
    name: (module, graph) =>
      loaders.every((loader) => loadedWith(join(compiled, 'cli', loader), graph).has(module)) ? name : null,
  })
  return [
    group('early', 'early.js'),
    group('common', 'program.js', 'sender-program.js'),
    group('program', 'program.js'),
    group('sender-program', 'sender-program.js'),
  ]
}

/** A module, and those that it imports to be there before it runs, and so on. */
function loadedWith(module: string, graph: ChunkingContext, known: Set<string> = new Set()): ReadonlySet<string> {
  if (known.has(module)) return known
  known.add(module)
  for (const imported of graph.getModuleInfo(module)?.importedIds ?? []) loadedWith(imported, graph, known)
  return known
}
