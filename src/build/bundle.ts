import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'rolldown'
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
  await build({
    cwd: compiled,
    input: Object.fromEntries(commands.map((name) => [basename(name, '.js'), join(folder, name)])),
    platform: 'node',
    external: Object.keys(dependencies),
    plugins: [filesBeside(folder), licences()],
    // Offsets and codes of other modules would else be looked up for every frame.
    optimization: { inlineConst: { mode: 'all' } },
    onwarn: ({ message }) => {
      throw new Error(message)
    },
    output: { dir: folder, entryFileNames: '[name].js', comments: false, minifyInternalExports: false },
  })
  for (const name of commands) chmodSync(join(folder, name), 0o755)
}
