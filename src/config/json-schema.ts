import { z } from 'zod'
import { SINKS } from '../sinks/registry.ts'
import { collectOptions } from './schema.ts'
import { commonOptions } from './sink-wish.ts'
import { kebab } from './terms/problem.ts'

type JsonSchema = z.core.JSONSchema.JSONSchema

/** Options that a file may also write as a list. */
const LISTS = ['vni', 'allowFrom']

/**
 * The JSON schema of a configuration file, for editors. `texts`: what each option is, by its name in a file. The
 * collector itself is stricter: this tells names, choices and kinds of values, not what a size or a filter must look like.
 */
export function fileSchema(texts: ReadonlyMap<string, string>): JsonSchema {
  const own = inputSchema(collectOptions).properties ?? {}
  const properties = Object.fromEntries(
    Object.entries(own).map(([name, schema]) => [
      kebab(name),
      { ...fileValue(name, schema as JsonSchema), description: texts.get(kebab(name)) ?? '' },
    ]),
  )
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Configuration of mirror-collector',
    type: 'object',
    properties,
    additionalProperties: false,
  }
}

/** What an option has when it is not given, as a file would write it; options without one are left out. */
export function defaults(): Record<string, unknown> {
  const own = Object.entries(inputSchema(collectOptions).properties ?? {})
  return Object.fromEntries(own.flatMap(([name, schema]) => withDefault(name, schema as JsonSchema)))
}

function withDefault(name: string, schema: JsonSchema): [string, unknown][] {
  return schema.default === undefined ? [] : [[name, schema.default]]
}

function fileValue(name: string, schema: JsonSchema): JsonSchema {
  if (name === 'out') return { anyOf: [sink(), { type: 'array', minItems: 1, items: sink() }] }
  if (schema.type === 'array') {
    return { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }], default: schema.default }
  }
  if (LISTS.includes(name)) return { anyOf: [scalar(schema), { type: 'array', minItems: 1, items: scalar(schema) }] }
  return scalar(schema)
}

/** A number may stand for its text. */
function scalar(schema: JsonSchema): JsonSchema {
  if (schema.anyOf !== undefined) return { type: ['string', 'number'] } as JsonSchema
  if (schema.type !== 'string' || schema.enum !== undefined) return schema
  return { ...schema, type: ['string', 'number'] } as JsonSchema
}

/** As text, or as a mapping with the settings of its type. */
function sink(): JsonSchema {
  const mappings = SINKS.map((type): JsonSchema => {
    const own = inputSchema(type.options)
    const settings = { ...inputSchema(commonOptions).properties, ...own.properties }
    const properties = Object.entries(settings).map(([key, value]) => [key, scalar(value as JsonSchema)])
    return {
      type: 'object',
      description: type.summary,
      properties: { type: typeName(type.type), ...Object.fromEntries(properties) },
      required: ['type', ...(own.required ?? [])],
      additionalProperties: false,
    }
  })
  // YAML reads the sink's name null as a value of its own.
  return { anyOf: [{ type: ['string', 'null'] } as JsonSchema, ...mappings] }
}

function typeName(name: string): JsonSchema {
  return name === 'null' ? { enum: [name, null] } : { const: name }
}

function inputSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
}
