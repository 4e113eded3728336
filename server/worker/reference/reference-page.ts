import {
  type ApiDocument,
  type ApiOperation,
  type ApiParameter,
  type ApiResponse,
  componentName,
  operationsOf,
  type PlacedOperation,
  problemCodesOf,
} from './api-document.ts'
import { escaped, inlineMarkdown, markdown } from './html.ts'
import { membersHtml, typeHtml } from './schema-html.ts'
import { pageOf } from './shell.ts'

/** `GET /docs`: the description of the API for people. @param baseUrl of the server, for lines to copy */
export function referencePage(document: ApiDocument, baseUrl: string): string {
  const { info, tags, components } = document
  const operations = operationsOf(document)
  const groups = tags.map((tag) => ({
    ...tag,
    members: operations.filter(({ operation }) => operation.tags[0] === tag.name),
  }))
  const asksForTokens = operations.some(({ operation }) => isSigned(operation))
  const main = [
    `<section class="intro"><h1>${escaped(info.title)} <span class="note">API ${escaped(info.version)}</span></h1>${markdown(info.description)}${asksForTokens ? tokenField : ''}</section>`,
    ...groups.flatMap(({ name, description, members }) => [
      `<h2 class="tag" id="${tagAnchor(name)}">${escaped(name)}</h2><p>${inlineMarkdown(description)}</p>`,
      ...members.map((member) => operationHtml(member, document, baseUrl)),
    ]),
    '<h2 class="tag" id="schemas">Schemas</h2>',
    ...Object.entries(components.schemas).map(([name, schema]) => {
      const what = schema.description === undefined ? '' : `<p>${inlineMarkdown(schema.description)}</p>`
      const pattern = schema.pattern === undefined ? '' : `<p>Pattern: <code>${escaped(schema.pattern)}</code></p>`
      return `<section class="card" id="schema-${name}"><h3>${name} <span class="type">${typeHtml(schema)}</span></h3>${what}${pattern}${membersHtml(schema)}</section>`
    }),
  ]
  const contents = groups.map(({ name, members }) => {
    const links = members.map(({ method, path, operation }) => {
      return `<li><a href="#${operation.operationId}"><b>${method}</b> ${escaped(path)}</a></li>`
    })
    return `<h2><a href="#${tagAnchor(name)}">${escaped(name)}</a></h2><ul>${links.join('')}</ul>`
  })
  const schemas = '<h2><a href="#schemas">Schemas</a></h2>'
  return pageOf({
    title: 'hotcakes: the API',
    contents: contents.join('') + schemas,
    main: main.join('\n'),
    hasForms: true,
  })
}

const tokenField =
  '<p class="token" data-needs-script hidden><label>Token for what is tried here <input id="token" type="password" autocomplete="off" placeholder="eyJ…"></label></p>'

function tagAnchor(name: string): string {
  return `tag-${name.toLowerCase()}`
}

function isSigned({ security = [] }: ApiOperation): boolean {
  return security.length > 0
}

function operationHtml({ method, path, operation }: PlacedOperation, document: ApiDocument, baseUrl: string): string {
  const { operationId, summary, description = '', parameters = [] } = operation
  const token = isSigned(operation) ? '<p class="note">Needs a token: <code>Authorization: Bearer</code>.</p>' : ''
  const rows = parameters.map((parameter) => parameterHtml(parameter, document))
  const table = rows.length === 0 ? '' : `<h4>Parameters</h4><dl class="members">${rows.join('\n')}</dl>`
  const responses = Object.entries(operation.responses).map(([status, response]) =>
    responseHtml(status, response, document),
  )
  return `<article class="card operation" id="${operationId}">
<h3><span class="method">${method}</span> <code>${escaped(path)}</code></h3>
<p class="lead">${inlineMarkdown(summary)}</p>
${markdown(description)}${token}${table}
<h4>Answers</h4>
<dl class="answers">${responses.join('\n')}</dl>
<h4>Try it</h4>
<pre><code>${escaped(commandOf({ method, path, operation }, baseUrl))}</code></pre>
${formHtml({ method, path, operation })}
</article>`
}

function parameterHtml(parameter: ApiParameter, { components }: ApiDocument): string {
  const { name, schema, required = false } = parameter
  const component = schema.$ref === undefined ? undefined : components.schemas[componentName(schema.$ref)]
  const description = parameter.description ?? schema.description ?? component?.description ?? ''
  const place = parameter.in === 'query' ? '' : ` <span class="note">in the ${parameter.in}</span>`
  const optional = required ? '' : ' <span class="note">optional</span>'
  return `<dt><code>${escaped(name)}</code> <span class="type">${typeHtml(schema)}</span>${place}${optional}</dt>
<dd>${inlineMarkdown(description)}</dd>`
}

function responseHtml(status: string, response: ApiResponse, { components }: ApiDocument): string {
  const codes = problemCodesOf(response)
  const headers = Object.entries(response.headers ?? {}).map(([name, { $ref }]) => {
    const { description = '' } = components.headers[componentName($ref)] ?? {}
    return `<code title="${escaped(description)}">${escaped(name)}</code>`
  })
  const withHeaders = headers.length === 0 ? '' : ` <span class="note">headers ${headers.join(', ')}</span>`
  if (codes.length > 0) {
    const links = codes.map((code) => `<a href="/docs/errors#${code}"><code>${code}</code></a>`)
    return `<dt>${status}</dt><dd>${links.join(', ')}${withHeaders}</dd>`
  }
  const bodies = Object.entries(response.content ?? {}).map(([type, { schema }]) => {
    return schema.$ref === undefined ? `<code>${escaped(type)}</code>` : typeHtml(schema)
  })
  return `<dt>${status}</dt><dd>${inlineMarkdown(response.description)} ${bodies.join(', ')}${withHeaders}</dd>`
}

function valueOf({ name, example }: ApiParameter): string {
  return String(example ?? `{${name}}`)
}

/** Those with an example, and those that have to be given. */
function commandOf({ method, path, operation }: PlacedOperation, baseUrl: string): string {
  const given = (operation.parameters ?? []).filter(
    ({ required, example }) => required === true || example !== undefined,
  )
  const query = given.filter((parameter) => parameter.in === 'query')
  const url = given
    .filter((parameter) => parameter.in === 'path')
    .reduce((text, parameter) => text.replace(`{${parameter.name}}`, valueOf(parameter)), path)
  const search = query.length === 0 ? '' : `?${query.map((one) => `${one.name}=${valueOf(one)}`).join('&')}`
  const flags = [
    method === 'GET' ? '' : `-X ${method} `,
    isSigned(operation) ? '-H "Authorization: Bearer $TOKEN" ' : '',
  ]
  return `curl -i ${flags.join('')}'${baseUrl}${url}${search}'`
}

/** Shown by its script: without one the line above it does the same. */
function formHtml({ method, path, operation }: PlacedOperation): string {
  const fields = (operation.parameters ?? []).map((parameter) => {
    const { name, required = false, example = '', schema } = parameter
    const options = (schema.enum ?? []).map((value) => `<option>${escaped(String(value))}</option>`)
    const attributes = `name="${escaped(name)}" data-in="${parameter.in}"${required ? ' required' : ''}`
    const input =
      options.length > 0
        ? `<select ${attributes}><option></option>${options.join('')}</select>`
        : `<input ${attributes} value="${escaped(String(example))}" autocomplete="off" spellcheck="false">`
    return `<label>${escaped(name)} ${input}</label>`
  })
  return `<form data-needs-script hidden data-method="${method}" data-path="${escaped(path)}"${isSigned(operation) ? ' data-signed' : ''}>
${fields.join('\n')}
<button>Send</button>
<output aria-live="polite"></output>
</form>`
}
