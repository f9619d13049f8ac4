import { existsSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import type { Plugin } from 'rolldown'

const BESIDE = /new URL\('(\.[^']*)', import\.meta\.url\)/g
const WHERE = /import\.meta\.(url|dirname|filename)/

/**
 * Lets `new URL('./file', import.meta.url)` find its file from the bundle, too. A module's is what a thread runs or loads: it
 * gets a name, and is added to `modules`, to be bundled. Any other file, and folders, stay where they are.
 * @param root where the modules lie @param output the folder in which the bundle will lie
 */
export function filesBeside(root: string, output: string, modules: Map<string, string>): Plugin {
  return {
    name: 'files-beside',
    transform(code, id) {
      if (id.includes('/node_modules/')) return
      const moved = code.replace(BESIDE, (_, name: string) => {
        const target = resolve(dirname(id), name)
        if (!existsSync(target)) this.error(`${id} names ${name}, which is not there.`)
        if (!name.endsWith('.js')) return `new URL('${relative(output, target)}${/\/?$/.exec(name)}', import.meta.url)`
        const entry = relative(root, target).replace(/\.js$/, '').replaceAll('/', '-')
        modules.set(entry, target)
        return `new URL('./${entry}.js', import.meta.url)`
      })
      const rest = moved.replaceAll('createRequire(import.meta.url)', '').replace(BESIDE, '')
      if (WHERE.test(rest))
        this.error(`${id} asks where it is, and will be elsewhere: new URL('./name', import.meta.url).`)
      return moved
    },
  }
}
