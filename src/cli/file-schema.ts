import { fileSchema } from '../config/json-schema.ts'
import { collectTable } from './program.ts'

/** The text of config/mirror-collector.schema.json. */
export function fileSchemaText(): string {
  const texts = new Map(collectTable().map((option) => [option.name(), option.description]))
  return `${JSON.stringify(fileSchema(texts), null, 2)}\n`
}
