import { copyFileSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundle } from './bundle.ts'

// What `npm run build` does after tsc, which has compiled into the folder that this file is in.
const project = process.cwd()
const compiled = join(project, 'dist.new')
const page = 'telemetry/page'
for (const file of readdirSync(join(project, 'src', page)).filter((name) => /\.(html|css|svg)$/.test(name)))
  copyFileSync(join(project, 'src', page, file), join(compiled, page, file))
await bundle(project, compiled)
swap(join(project, 'dist'))

/** A program that runs meanwhile finds the whole of the old build or of the new one, but for an instant. */
function swap(dist: string): void {
  const old = `${dist}.old`
  rmSync(old, { recursive: true, force: true })
  if (existsSync(dist)) renameSync(dist, old)
  renameSync(compiled, dist)
  rmSync(old, { recursive: true, force: true })
}
