// Goal: no request, whatever it is made of, takes a worker down, reaches a key, a row or a log line that it must not
// reach, or costs an honest client an answer.
// Method: a short run of `npm run test:fuzz`.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seed } from '../helpers/seed.ts'
import { fuzz } from './fuzz.ts'

const runs = [
  { shards: 1, requests: 2_000 },
  { shards: 3, requests: 1_000 },
]

for (const { shards, requests } of runs)
  test(`${requests} requests of all kinds do no harm to a sale of ${shards} shards (SEED=${seed})`, async (t) => {
    const { run, honestRequests, findings } = await fuzz(t, { seed, from: 0, requests, shards })
    assert.deepEqual(findings, [])
    assert.equal(run.done, requests)
    assert.ok(honestRequests > 10, `the honest client made ${honestRequests} requests`)
    for (const status of [0, 200, 400, 404, 405, 409, 431, 505]) {
      assert.ok((run.answers.get(status) ?? 0) > 0, `no answer was ${status}`)
    }
  })
