import { componentName, type Schema } from './api-document.ts'
import { escaped, inlineMarkdown } from './html.ts'

/** What a value is, in a line: `integer, at least 1`, `one of "held", "sold"`, a link to a component. */
export function typeHtml(schema: Schema): string {
  const { $ref, anyOf, items, type, format } = schema
  if ($ref !== undefined) return `<a href="#schema-${componentName($ref)}">${componentName($ref)}</a>`
  if (schema.const !== undefined) return code(JSON.stringify(schema.const))
  if (schema.enum !== undefined) return `one of ${schema.enum.map((value) => code(JSON.stringify(value))).join(', ')}`
  if (anyOf !== undefined) return anyOf.map(typeHtml).join(' or ')
  if (items !== undefined) return `array of ${typeHtml(items)}`
  const types = typeof type === 'string' ? [type] : (type ?? ['any'])
  return [types.join(' or '), format ?? '', rangeOf(schema), defaultOf(schema)].filter(Boolean).join(', ')
}

/** The members of an object, those of objects in it below them; '' for what is none. */
export function membersHtml(schema: Schema): string {
  const { properties, required = [] } = schema
  if (properties === undefined) return mapHtml(schema)
  const rows = Object.entries(properties).map(([name, member]) => {
    const optional = required.includes(name) ? '' : ' <span class="note">may be absent</span>'
    return `<dt><code>${escaped(name)}</code> <span class="type">${typeHtml(member)}</span>${optional}</dt>
<dd>${inlineMarkdown(descriptionOf(member))}${nestedHtml(member)}</dd>`
  })
  return `<dl class="members">${rows.join('\n')}</dl>`
}

function nestedHtml(schema: Schema): string {
  const inside = [schema, schema.items ?? {}, ...(schema.anyOf ?? [])].filter(({ $ref }) => $ref === undefined)
  return inside.map(membersHtml).join('')
}

/** An object whose keys are data. */
function mapHtml({ additionalProperties }: Schema): string {
  return typeof additionalProperties === 'object' ? `<p>Each value: ${typeHtml(additionalProperties)}.</p>` : ''
}

function descriptionOf({ description, items }: Schema): string {
  return description ?? items?.description ?? ''
}

function rangeOf({ minimum, maximum }: Schema): string {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`
  if (minimum !== undefined) return `at least ${minimum}`
  return maximum === undefined ? '' : `at most ${maximum}`
}

function defaultOf(schema: Schema): string {
  return schema.default === undefined ? '' : `${JSON.stringify(schema.default)} without it`
}

function code(text: string): string {
  return `<code>${escaped(text)}</code>`
}
