import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'rolldown'

/** Puts the licences of the packages that are in bundles beside the last of them, as they ask for. */
export function licences(): Plugin {
  const packages = new Set<string>()
  return {
    name: 'licences',
    generateBundle(_, output) {
      const modules = Object.values(output).flatMap((file) => (file.type === 'chunk' ? Object.keys(file.modules) : []))
      for (const id of modules) {
        const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]
        if (folder !== undefined) packages.add(folder)
      }
      const source = [...packages].sort().map(licenceOf).join('\n\n')
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-LICENSES', source })
    },
  }
}

function licenceOf(folder: string): string {
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  if (file === undefined) throw new Error(`The package ${name} comes without its licence.`)
  return `${name} ${version}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
}
