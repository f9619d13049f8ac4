import { writeFileSync } from 'node:fs'
import { fileSchemaText } from '../../src/cli/file-schema.ts'
import { createProgram as collector } from '../../src/cli/program.ts'
import { createProgram as sender } from '../../src/cli/sender-program.ts'
import { compiledLoops } from './compile-loops.ts'
import { manPage } from './man-page.ts'

const config = new URL('../../config/', import.meta.url)
writeFileSync(new URL('mirror-collector.schema.json', config), fileSchemaText())
for (const program of [collector(() => {}), sender()]) {
  writeFileSync(new URL(`man/${program.name()}.1`, config), manPage(program))
}
writeFileSync(new URL('../../src/frames/loops-code.ts', import.meta.url), await compiledLoops())
