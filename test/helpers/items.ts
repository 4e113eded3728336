import assert from 'node:assert/strict'

import type { HttpClient, HttpReply } from './http-client.ts'

/** A worker alone, or a whole cluster. */
interface Server {
  readonly http: HttpClient
}

export function checkoutPath(user: string, item: string): string {
  return `/checkout?user_id=${encodeURIComponent(user)}&id=${encodeURIComponent(item)}`
}

export function purchasePath(code: string): string {
  return `/purchase?code=${encodeURIComponent(code)}`
}

export function releasePath(code: string): string {
  return `/release?code=${encodeURIComponent(code)}`
}

export function checkout(worker: Server, user: string, item: string): Promise<HttpReply> {
  return worker.http.post(checkoutPath(user, item))
}

export function purchase(worker: Server, code: string): Promise<HttpReply> {
  return worker.http.post(purchasePath(code))
}

export function release(worker: Server, code: string): Promise<HttpReply> {
  return worker.http.post(releasePath(code))
}

/** The code of a checkout that must have succeeded. */
export function codeOf(reply: HttpReply): string {
  assert.equal(reply.status, 200, reply.text)
  const code = reply.json?.['code']
  assert.ok(typeof code === 'string')
  return code
}

/** A hold of that item; answers its code. */
export async function hold(worker: Server, user: string, item: string): Promise<string> {
  return codeOf(await checkout(worker, user, item))
}

/** The first item of the current sale, held and purchased. */
export async function buyOne(worker: Server, user: string): Promise<void> {
  const code = await hold(worker, user, `${await currentSale(worker)}-1`)
  const { status, text } = await purchase(worker, code)
  assert.equal(status, 200, text)
}

/**
 * That the reply is the problem of that code, whole and well-formed.
 * @param options.docUrl where it has to lead; undefined: nowhere, as problems of the operators' port do
 */
export function assertProblem(
  reply: HttpReply,
  status: number,
  code: string,
  options: { readonly docUrl: string | undefined } = { docUrl: `/docs/errors#${code}` },
): void {
  assert.deepEqual([reply.status, reply.json?.['code']], [status, code], reply.text)
  assert.equal(reply.headers['content-type'], 'application/problem+json')
  assert.equal(reply.headers['cache-control'], 'no-store')
  const { type, title, status: statusInBody, detail, doc_url: docUrl } = reply.json ?? {}
  assert.deepEqual([type, statusInBody, docUrl], [`urn:hotcakes:problem:${code}`, status, options.docUrl])
  assert.ok(typeof title === 'string' && typeof detail === 'string' && title !== '' && detail !== '')
}

/** The number of the current sale. */
export async function currentSale(worker: Server): Promise<number> {
  const { json, text } = await worker.http.get('/sale')
  assert.ok(typeof json?.['id'] === 'number', text)
  return json['id']
}
