import assert from 'node:assert/strict'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'

import { formatCode, formatItemId, type HoldCode, parseCode } from '../../core/ids.ts'
import type { Operation } from '../../core/outcomes.ts'
import { firstShard } from '../../core/shards.ts'
import { checkoutPath, purchasePath, releasePath } from '../helpers/items.ts'
import type { Scope } from '../helpers/scope.ts'
import type { Answer, Look, Place, SentRequest } from './evidence.ts'

/** A client that waited so long goes away: soon enough to try again within a round, late for a server that is well. */
const patienceMs = 1_500
/** Problems that say that nothing was decided; any other 503 leaves it open. */
const refusals = new Set<unknown>(['overloaded', 'backlog_full', 'shutting_down', 'rate_limited'])

type Wanted = Pick<SentRequest, 'operation' | 'sale' | 'index' | 'user' | 'nonce'>

/** Sends requests and remembers each, with its times and what came of it. Never sends one again by itself. */
export class RecordedClient {
  readonly history: SentRequest[] = []
  readonly looks: Look[] = []
  /** Where the server is, and a second one while there is one. */
  #baseUrls: readonly string[]
  readonly #agent: Agent

  constructor(scope: Scope, options: { baseUrl: string; connections: number }) {
    this.#baseUrls = [options.baseUrl]
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections, scheduling: 'fifo' })
    scope.after(() => this.#agent.destroy())
  }

  /** Requests go to this server too, in turn, or no longer to any but the first. */
  secondServer(baseUrl: string | undefined): void {
    this.#baseUrls = [...this.#baseUrls.slice(0, 1), ...(baseUrl === undefined ? [] : [baseUrl])]
  }

  checkout(user: string, sale: number, index: string): Promise<SentRequest> {
    const path = checkoutPath(user, formatItemId(sale, index))
    return this.#send({ operation: 'checkout', sale, index, user, nonce: '' }, path)
  }

  purchase({ sale, index, nonce }: HoldCode): Promise<SentRequest> {
    return this.#send(
      { operation: 'purchase', sale, index, user: '', nonce },
      purchasePath(formatCode(sale, index, nonce)),
    )
  }

  release({ sale, index, nonce }: HoldCode): Promise<SentRequest> {
    return this.#send(
      { operation: 'release', sale, index, user: '', nonce },
      releasePath(formatCode(sale, index, nonce)),
    )
  }

  /** What anybody can see of an item. */
  async look(sale: number, index: string): Promise<void> {
    const sentMs = performance.now()
    try {
      const { response, text } = await this.#request('GET', `/items/${formatItemId(sale, index)}`)
      if (response.statusCode !== 200) return
      const { state } = JSON.parse(text) as Look
      this.looks.push({ sale, index, sentMs, receivedMs: performance.now(), state })
    } catch {
      // No answer: nothing was seen.
    }
  }

  async #send(wanted: Wanted, path: string): Promise<SentRequest> {
    const sent: SentRequest = { ...wanted, sentMs: performance.now(), sentAtMs: Date.now(), answer: 'unknown' }
    this.history.push(sent)
    try {
      const { response, text } = await this.#request('POST', path)
      sent.answer = readAnswer(sent.operation, response, text)
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      // No answer, or half of one: its outcome is unknown.
    }
    return sent
  }

  #request(method: string, path: string): Promise<{ response: IncomingMessage; text: string }> {
    const baseUrl = this.#baseUrls[this.history.length % this.#baseUrls.length]
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(`${baseUrl}${path}`, { method, agent: this.#agent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('error', settle(reject))
        response.on('end', () => settle(resolve)({ response, text }))
      })
      const late = setTimeout(() => outgoing.destroy(new Error('no answer')), patienceMs)
      function settle<Value>(settled: (value: Value) => void): (value: Value) => void {
        return (value) => {
          clearTimeout(late)
          settled(value)
        }
      }
      outgoing.on('error', settle(reject))
      outgoing.end()
    })
  }
}

/** @throws AssertionError for an answer that the API does not have */
function readAnswer(operation: Operation, response: IncomingMessage, text: string): SentRequest['answer'] {
  const receivedMs = performance.now()
  const body = JSON.parse(text) as Readonly<Record<string, unknown>>
  const place = response.headers['hotcakes-decision']
  if (response.statusCode === 503 || response.statusCode === 429)
    return refusals.has(body['code']) ? 'refused' : 'unknown'
  assert.ok(typeof place === 'string', `without a decision: ${text}`)
  const answer = { place: parsePlace(place), receivedMs }
  if (response.statusCode !== 200) return { ...answer, verdict: body['code'] as Answer['verdict'] }
  const verdict = 'accepted'
  if (operation === 'purchase')
    return { ...answer, verdict, user: String(body['user_id']), atMs: Date.parse(String(body['purchased_at'])) }
  if (operation === 'release') return { ...answer, verdict, user: String(body['user_id']) }
  const nonce = parseCode(String(body['code']))?.nonce
  assert.ok(nonce !== undefined, text)
  return { ...answer, verdict, nonce, atMs: Date.parse(String(body['expires_at'])) }
}

/** `<epoch>-<seq>-<n>` of the first shard, `<shard>:<epoch>-<seq>-<n>` of another one. */
function parsePlace(header: string): Place {
  const match = /^(?:([1-9]\d*):)?(\d+)-(\d+)-(\d+)$/.exec(header)
  assert.ok(match, header)
  const [shard = firstShard, epoch, seq, n] = match
    .slice(1)
    .map((digits) => (digits === undefined ? digits : Number(digits)))
  assert.ok(epoch !== undefined && seq !== undefined && n !== undefined)
  return { shard, epoch, seq, n }
}
