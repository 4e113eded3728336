import assert from 'node:assert/strict'

import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

import type { HttpClient, HttpReply } from './http-client.ts'

interface ResponseDescription {
  readonly headers?: Readonly<Record<string, { readonly $ref?: string; readonly required?: boolean }>>
  readonly content?: Readonly<Record<string, { readonly schema: object }>>
}

interface Operation {
  readonly operationId: string
  readonly responses: Readonly<Record<string, ResponseDescription>>
}

interface Document {
  readonly openapi: string
  readonly info: { readonly description: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly headers: Readonly<Record<string, { readonly required?: boolean }>> }
}

/** Headers that an answer may only have where the description says so. */
const describedHeaders = /^(hotcakes-|retry-after$|allow$|ratelimit|etag$|link$|location$)/

/** The server's own description of its API, and what of it was seen in answers so far. */
export class ApiDescription {
  readonly document: Document
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true })
  readonly #seen = new Set<string>()

  constructor(document: Document) {
    this.document = document
    addFormats.default(this.#ajv)
    this.#ajv.addSchema(document, 'api')
  }

  /** Sends a request, and fails unless its answer is one that the description has. */
  async send(http: HttpClient, method: string, path: string, headers: Record<string, string> = {}): Promise<HttpReply> {
    const reply = await http.send(method, path, { headers })
    this.check(method, path, reply)
    return reply
  }

  check(method: string, path: string, reply: HttpReply): void {
    const where = `${method} ${path} -> ${reply.status} ${reply.text.slice(0, 200)}`
    const [template, operation] = this.#operation(method, path.split('?', 1)[0] ?? '')
    assert.ok(operation, `${where}: no such operation`)
    const response = operation.responses[reply.status]
    assert.ok(response, `${where}: the status is not described`)
    this.#checkHeaders(response, reply, where)
    const pointer = ['paths', template, method.toLowerCase(), 'responses', String(reply.status)]
    this.#checkBody({ response, pointer }, reply, where)
    this.#seen.add(seenAs(operation.operationId, reply.status, reply.json?.['code']))
  }

  /** Every answer that is described, as `operation status code`, and was not seen. */
  unseen(): string[] {
    return this.#operations()
      .flatMap((operation) =>
        Object.entries(operation.responses).flatMap(([status, response]) =>
          codesOf(response).map((code) => seenAs(operation.operationId, Number(status), code)),
        ),
      )
      .filter((answer) => !this.#seen.has(answer))
  }

  #operations(): Operation[] {
    return Object.values(this.document.paths).flatMap((methods) => Object.values(methods))
  }

  #operation(method: string, path: string): [template: string, operation: Operation | undefined] {
    const templates = Object.keys(this.document.paths)
    const fits = (template: string) => new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path)
    const template = templates.find((one) => one === path) ?? templates.find(fits) ?? ''
    return [template, this.document.paths[template]?.[method.toLowerCase()]]
  }

  #checkHeaders({ headers = {} }: ResponseDescription, reply: HttpReply, where: string): void {
    const described = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
    const extra = Object.keys(reply.headers).filter((name) => describedHeaders.test(name) && !described.has(name))
    assert.deepEqual(extra, [], `${where}: headers that are not described`)
    for (const [name, header] of Object.entries(headers)) {
      const value = reply.headers[name.toLowerCase()]
      const component = header.$ref?.split('/').at(-1) ?? ''
      const required = this.document.components.headers[component]?.required ?? header.required ?? false
      assert.ok(value !== undefined || !required, `${where}: the header ${name} is missing`)
      if (value === undefined) continue
      const validate = this.#ajv.getSchema(`api#/components/headers/${component}/schema`)
      assert.ok(validate, `${name} has no schema`)
      assert.ok(validate(isNumeric(String(value)) ? Number(value) : value), `${where}: ${name}: ${String(value)}`)
    }
  }

  #checkBody(
    { response, pointer }: { response: ResponseDescription; pointer: readonly string[] },
    reply: HttpReply,
    where: string,
  ): void {
    const type = reply.headers['content-type']?.split(';', 1)[0] ?? ''
    if (response.content === undefined) {
      assert.equal(reply.text, '', `${where}: no body is described`)
      return
    }
    assert.ok(response.content[type], `${where}: ${type} is not described`)
    if (!type.endsWith('json')) return
    const path = [...pointer, 'content', type, 'schema'].map((part) =>
      encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')),
    )
    const validate = this.#ajv.getSchema(`api#/${path.join('/')}`)
    assert.ok(validate, `${where}: no schema`)
    assert.ok(validate(JSON.parse(reply.text)), `${where}: ${JSON.stringify(validate.errors)}`)
  }
}

function seenAs(operationId: string, status: number, code: unknown): string {
  return typeof code === 'string' && status >= 400 ? `${operationId} ${status} ${code}` : `${operationId} ${status}`
}

/** The problem codes of a response; one `undefined` for one that is no problem. */
function codesOf({ content }: ResponseDescription): (string | undefined)[] {
  const schema: { properties?: { code?: { enum?: string[] } } } | undefined =
    content?.['application/problem+json']?.schema
  return schema?.properties?.code?.enum ?? [undefined]
}

function isNumeric(text: string): boolean {
  return /^\d+([.]\d+)?$/.test(text)
}

/** The description that a server gives of itself. */
export async function describedApi(http: HttpClient): Promise<ApiDescription> {
  const { status, text } = await http.get('/openapi.json')
  assert.equal(status, 200, text)
  return new ApiDescription(JSON.parse(text) as Document)
}
