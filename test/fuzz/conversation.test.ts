// Goal: the judge of the fuzzer sees what is wrong. Method: servers that do it wrong, one each.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'

import type { Scope } from '../helpers/scope.ts'
import { drawAttempt } from './attempt.ts'
import { Conversation } from './conversation.ts'
import type { Drawn } from './well-formed.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'
/** Far longer than this process may stand still: the servers here always answer or close, but for the silent one. */
const answerMsMax = 20_000
const refusal = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}'

/** What is said of a server that answers so; '': that it closes the connection, `undefined`: that it is silent. */
async function judge(scope: Scope, answer: string | undefined, expects: Drawn['expects']): Promise<string | undefined> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', () => {
      if (answer === '') socket.destroy()
      else if (answer?.startsWith('HTTP/') === true) socket.write(answer, 'latin1')
      // What is no answer would be waited for to the end.
      else if (answer !== undefined) socket.end(answer, 'latin1')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.after(() => void server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const conversation = await Conversation.open(address.port)
  scope.after(() => conversation.destroy())
  const drawn: Drawn = { kind: 'test', text: 'GET / HTTP/1.1\r\n\r\n', expects, statuses: [200, 400] }
  const attempt = { ...drawn, number: 0, pieces: [Buffer.from(drawn.text)], leaves: false, staysOn: false }
  // A busy machine may be later with its answer than the fuzzer waits for one.
  return conversation.take(attempt, answer === undefined ? undefined : answerMsMax)
}

test('a well-formed request wants one answer, whole, and with a status that it may have', async (t) => {
  assert.equal(await judge(t, ok, 'answer'), undefined)
  assert.match((await judge(t, '', 'answer')) ?? '', /no answer, closed/)
  assert.match((await judge(t, ok + ok, 'answer')) ?? '', /more than an answer/)
  assert.match((await judge(t, ok.replace('200 OK', '500 Oh'), 'answer')) ?? '', /answered 500/)
  assert.match((await judge(t, refusal.replace('{}', '\x1b['), 'answer')) ?? '', /raw bytes/)
})

test('what must be refused may be refused, closed or left unanswered, and is not accepted', async (t) => {
  for (const answer of [refusal, '', undefined]) assert.equal(await judge(t, answer, 'refusal'), undefined)
  assert.match((await judge(t, ok, 'refusal')) ?? '', /accepted with 200/)
  assert.match((await judge(t, 'whatever', 'refusal')) ?? '', /no HTTP/)
})

test('anything but a fault may come of anything', async (t) => {
  for (const answer of [ok + refusal, '', undefined]) assert.equal(await judge(t, answer, 'anything'), undefined)
  assert.match((await judge(t, ok + ok.replace('200 OK', '502 Oh'), 'anything')) ?? '', /answered 502/)
})

test('an attempt depends on the seed and its number', () => {
  const [attempt, again, next, other] = [
    drawAttempt(1, 7, 9),
    drawAttempt(1, 7, 9),
    drawAttempt(1, 8, 9),
    drawAttempt(2, 7, 9),
  ]
  assert.deepEqual(again, attempt)
  assert.notDeepEqual(next, { ...attempt, number: 8 })
  assert.notDeepEqual(other, attempt)
})
