import type { ProblemCode } from '../http/problems.ts'

/** A reference to one of the components of the document. */
export function ref(kind: 'schemas' | 'headers', name: string): object {
  return { $ref: `#/components/${kind}/${name}` }
}

/** A response with a JSON body. */
export function json(schema: string, description: string, headers?: object): object {
  return {
    description,
    ...(headers && { headers }),
    content: { 'application/json': { schema: ref('schemas', schema) } },
  }
}

interface ParameterOptions {
  readonly required?: boolean
  readonly example?: string | number
}

/** @param schema the name of a component, or the schema itself */
export function queryParameter(
  name: string,
  schema: string | object,
  description: string,
  options: ParameterOptions = {},
): object {
  const described = typeof schema === 'string' ? ref('schemas', schema) : schema
  return { name, in: 'query', description, schema: described, ...options }
}

export function pathParameter(name: string, schema: string, description: string, example?: string | number): object {
  const shown = example === undefined ? {} : { example }
  return { name, in: 'path', required: true, description, schema: ref('schemas', schema), ...shown }
}

/** What an operation has that is a buyer's: with signed buyers a token, and the answers to one that doesn't count. */
export function buyersTerms(isSigned: boolean): { security: object; codes: readonly ProblemCode[] } {
  if (!isSigned) return { security: {}, codes: [] }
  return { security: { security: [{ buyer: [] }] }, codes: ['unauthorized', 'no_buyer', 'keys_unavailable'] }
}
