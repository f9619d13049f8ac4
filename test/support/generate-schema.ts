import { writeFileSync } from 'node:fs'
import { fileSchemaText } from '../../src/cli/file-schema.ts'

writeFileSync(new URL('../../config/mirror-collector.schema.json', import.meta.url), fileSchemaText())
