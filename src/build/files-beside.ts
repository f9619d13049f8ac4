import { existsSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import type { Plugin } from 'rolldown'

const BESIDE = /new URL\('(\.[^']*)', import\.meta\.url\)/g

/**
 * Lets `new URL('./file', import.meta.url)` find its file from the bundle, too: a module's becomes an entry point of the
 * bundle, for it is what a thread runs or loads; any other file, and folders, stay where they are.
 * @param output where the bundle will lie
 */
export function filesBeside(output: string): Plugin {
  return {
    name: 'files-beside',
    transform(code, id) {
      if (!code.includes('import.meta.') || id.includes('/node_modules/')) return
      const moved = code.replace(BESIDE, (_, name: string) => {
        const target = resolve(dirname(id), name)
        if (!existsSync(target)) this.error(`${id} names ${name}, which is not there.`)
        if (!name.endsWith('.js')) return `new URL('${relative(output, target)}${/\/?$/.exec(name)}', import.meta.url)`
        return `new URL(import.meta.ROLLUP_FILE_URL_${this.emitFile({ type: 'chunk', id: target })})`
      })
      const rest = moved.replace(/createRequire\(import\.meta\.url\)|new URL\('[^']*', import\.meta\.url\)/g, '')
      if (/import\.meta\.(url|dirname|filename)/.test(rest))
        this.error(`${id} asks where it is, and will be elsewhere. Write new URL('./name', import.meta.url).`)
      return moved
    },
  }
}
