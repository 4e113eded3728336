import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../harness/seeded-random.ts'
import { Buyer } from './buyer.ts'
import { Recorder } from './recorder.ts'
import { Shop } from './shop.ts'

function buyerWith({ copies = 1, mix = {} }: { copies?: number; mix?: Record<string, number> }) {
  const recorder = new Recorder()
  const sale = { id: 7, items: 1_000 }
  const shop = new Shop({ sale, users: 9, fresh: 1, hot: 0, seed: 1, generator: 0, generators: 1 })
  const buyer = new Buyer({
    shop,
    recorder,
    copies,
    mix: { buy: 0, hold: 0, again: 0, guess: 0, ...mix },
    random: new SeededRandom(1),
    requestEnd: ' HTTP/1.1\r\n\r\n',
  })
  return { buyer, recorder, tally: () => recorder.tally }
}

const reply = (status: number, body: object): Buffer =>
  Buffer.from(`HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(body)}`)
const code = '7-12-abcdefghijklmnop'
const held = reply(200, { code, item_id: '7-12' })
const purchased = reply(200, { status: 'purchased' })

test('a buyer purchases with the code that the checkout was answered with', () => {
  const { buyer, tally } = buyerWith({ mix: { buy: 1 } })
  assert.match(buyer.next(), /^POST \/checkout\?user_id=user-\d&id=7-\d+ HTTP\/1\.1\r\n\r\n$/)
  buyer.answered(200, held)
  assert.equal(buyer.next(), `POST /purchase?code=${code} HTTP/1.1\r\n\r\n`)
  buyer.answered(200, purchased)
  assert.match(buyer.next(), /^POST \/checkout/)
  assert.deepEqual([tally().holds, tally().purchases], [1, 1])
})

test('a checkout that is turned down is counted by its code, and nothing is purchased', () => {
  const { buyer, tally, recorder } = buyerWith({ mix: { buy: 1 } })
  buyer.next()
  buyer.answered(409, reply(409, { type: 'urn:x', code: 'item_sold' }))
  assert.match(buyer.next(), /^POST \/checkout/)
  buyer.answered(503, reply(503, { code: 'overloaded' }))
  buyer.next()
  buyer.answered(502, Buffer.from('HTTP/1.1 502 Bad Gateway\r\n\r\n<html>'))
  assert.deepEqual(tally().rejected, { item_sold: 1 })
  assert.deepEqual(tally().failed, { overloaded: 1, http_502: 1 })
  const kinds = recorder.takeSecond().samples.map(({ kind, body }) => [kind, body?.includes('item_sold') === true])
  assert.deepEqual(kinds, [
    ['checkout 409 item_sold', true],
    ['checkout 503 overloaded', false],
    ['checkout 502 http_502', false],
  ])
})

test('every copy is the same request, and its answer must be the same', () => {
  const { buyer, tally } = buyerWith({ mix: { hold: 1 }, copies: 2 })
  const first = buyer.next()
  buyer.answered(200, held)
  assert.equal(buyer.next(), first)
  buyer.answered(200, held)
  const second = buyer.next()
  assert.notEqual(second, first)
  buyer.answered(200, held)
  buyer.next()
  buyer.answered(200, reply(200, { code: '7-12-another-sixteen--' }))
  assert.deepEqual([tally().holds, tally().repeats], [2, 1])
  assert.deepEqual(tally().unexpected, { 'a copy was answered differently': 1 })
})

test('a request whose answer was lost is sent again, and counted once', () => {
  const { buyer, tally } = buyerWith({ mix: { buy: 1 } })
  const first = buyer.next()
  buyer.lost()
  assert.equal(buyer.next(), first)
  buyer.answered(200, held)
  assert.match(buyer.next(), /^POST \/purchase/)
  assert.equal(tally().holds, 1)
})

test('a request that is lost again and again is given up', () => {
  const { buyer } = buyerWith({ mix: { buy: 1 } })
  const first = buyer.next()
  const sent = Array.from({ length: 6 }, () => {
    buyer.lost()
    return buyer.next()
  })
  assert.equal(sent.filter((text) => text === first).length, 3)
})

test('purchasing again repeats a code that was bought, and is no goodput', () => {
  const { buyer, tally } = buyerWith({ mix: { again: 1 } })
  assert.match(buyer.next(), /^POST \/checkout/, 'it has nothing yet')
  buyer.answered(200, held)
  buyer.next()
  buyer.answered(200, purchased)
  assert.equal(buyer.next(), `POST /purchase?code=${code} HTTP/1.1\r\n\r\n`)
  buyer.answered(200, purchased)
  assert.deepEqual([tally().purchases, tally().repeats], [1, 1])
})

test('a made-up code that is redeemed is a wrong answer', () => {
  const { buyer, tally } = buyerWith({ mix: { guess: 1 } })
  assert.match(buyer.next(), /^POST \/purchase\?code=7-\d+-[\w-]{16} /)
  buyer.answered(200, purchased)
  assert.deepEqual(tally().unexpected, { 'a made-up code was redeemed': 1 })
})
