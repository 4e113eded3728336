// Goal: data of the last version, with a sale in progress and a log that was not drained, are taken over by the first start.
// Method: test/fixtures/last-version is what a server of that version left when it and its services were killed
// (test/last-version/make.ts makes it anew, and says of which commit). Redis goes on a few seconds after that moment,
// whenever the test runs: its clock is put back. So the holds are as old as they were. What the last version answered is known.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { shardOf } from '../core/shards.ts'
import { breachesIn, runAuditJson } from './helpers/audit.ts'
import { type Cluster, startCluster } from './helpers/cluster.ts'
import type { HttpReply } from './helpers/http-client.ts'
import { assertProblem, checkout, codeOf, currentSale, hold, purchase } from './helpers/items.ts'
import { pathOfOtherTime } from './helpers/other-time.ts'
import { temporaryFolder } from './helpers/scope.ts'
import { lastVersionsFolder, readRows, readStory } from './last-version/data-folder.ts'
import { type Answer, settings } from './last-version/story.ts'

const story = readStory()
const [over, current] = story.sales
const intervalSeconds = Number(settings.APP_SALE_INTERVAL_SECONDS)
/** Later than its newest answer, and soon enough for every hold. */
const secondsLater = 5
const orderly = { code: 0, signal: null }

interface Bought {
  readonly code: string
  readonly item: string
  readonly user: string
  readonly at: string
}

const holdsOfCurrent = new Map<string, { readonly item: string; readonly user: string }>()
const bought: Bought[] = []
for (const { path, status, body } of story.answers) {
  if (status !== 200 || body['sale_id'] !== current) continue
  const item = String(body['item_id'])
  const isHold = path.startsWith('/checkout')
  if (isHold) holdsOfCurrent.set(String(body['code']), { item, user: userOf(path) })
  else {
    const code = query(path, 'code')
    const at = String(body['purchased_at'])
    if (bought.every((one) => one.code !== code)) bought.push({ code, item, user: String(body['user_id']), at })
  }
}
const boughtCodes = new Set(bought.map(({ code }) => code))
const held = [...holdsOfCurrent].flatMap(([code, one]) => (boughtCodes.has(code) ? [] : [{ code, ...one }]))

function query(path: string, name: string): string {
  return new URL(path, 'http://shop').searchParams.get(name) ?? assert.fail(path)
}

function codeIn(answer: Answer | undefined): string {
  return query(answer?.path ?? '', 'code')
}

function userOf(path: string): string {
  return query(path, 'user_id')
}

async function startOn(
  t: TestContext,
  options: { dataDir: string; atMs: number; env?: Readonly<Record<string, string>> },
): Promise<Cluster> {
  const behindSeconds = Math.floor((Date.now() - options.atMs) / 1_000)
  const path = pathOfOtherTime(temporaryFolder(t), { behindSeconds })
  return await startCluster(t, { dataDir: options.dataDir, env: { ...settings, PATH: path, ...options.env } })
}

/** Requests of ours that were decided, all of them. */
class Decided {
  count = 0

  of(reply: HttpReply): HttpReply {
    assert.ok(reply.headers['hotcakes-decision'] !== undefined, reply.text)
    this.count += 1
    return reply
  }
}

/** Everything that the last version had promised is kept. */
async function assertPromisesKept(cluster: Cluster, decided: Decided): Promise<void> {
  assert.equal(await currentSale(cluster), current)
  for (const { code, item, user, at } of bought) {
    const { status, json, text } = decided.of(await purchase(cluster, code))
    assert.equal(status, 200, text)
    assert.deepEqual([json?.['item_id'], json?.['user_id'], json?.['purchased_at']], [item, user, at])
    assertProblem(decided.of(await checkout(cluster, 'somebody', item)), 409, 'item_sold')
  }
  for (const { code, item, user } of held) {
    assertProblem(decided.of(await checkout(cluster, 'somebody', item)), 409, 'item_held')
    assert.equal(codeOf(decided.of(await checkout(cluster, user, item))), code, 'the same hold again')
    const { status, json, text } = decided.of(await purchase(cluster, code))
    assert.equal(status, 200, text)
    assert.equal(json?.['user_id'], user)
  }
  await assertLimits(cluster, decided)
  const early = story.answers.find(({ body }) => body['sale_id'] === over && body['status'] === 'purchased')
  const again = decided.of(await purchase(cluster, codeIn(early)))
  assert.deepEqual([again.status, again.json?.['purchased_at']], [200, early?.body['purchased_at']])
  assertProblem(decided.of(await purchase(cluster, expiredCode())), 410, 'code_expired')
  assertProblem(decided.of(await checkout(cluster, 'somebody', `${over}-30`)), 410, 'sale_closed')
}

function expiredCode(): string {
  return codeIn(story.answers.find(({ body }) => body['code'] === 'code_expired'))
}

/** Each buys up to the limit from what is free, and no more. */
async function assertLimits(cluster: Cluster, decided: Decided): Promise<void> {
  const taken = new Set([...holdsOfCurrent.values()].map(({ item }) => item))
  const items = Array.from({ length: Number(settings.APP_ITEM_NUMBER) }, (_, at) => `${current}-${at + 1}`)
  const free = items.filter((item) => !taken.has(item)).values()
  const next = () => free.next().value ?? assert.fail('there are enough items')
  const counts = new Map<string, number>()
  for (const { user } of holdsOfCurrent.values()) counts.set(user, (counts.get(user) ?? 0) + 1)
  const least = [...counts].filter(([, count]) => count < 3).map(([user]) => user)
  for (const user of least) {
    for (let count = counts.get(user) ?? 0; count < 3; count++) {
      codeOf(decided.of(await checkout(cluster, user, next())))
    }
  }
  const last = next()
  for (const user of counts.keys()) {
    assertProblem(decided.of(await checkout(cluster, user, last)), 409, 'user_limit_reached')
  }
}

/** That they agree, and that the record has every attempt once: those of the last version, and ours. */
async function assertAudited(cluster: Cluster, decided: Decided): Promise<void> {
  const audit = await runAuditJson(cluster.env)
  assert.deepEqual(breachesIn(audit), {})
  assert.equal(audit.verdict, 'passed', audit.not_checked.join())
  assert.equal(audit.attempts, story.answers.length + decided.count)
}

test('the fixture has what it is for: a log that was not drained, holds, purchases and every kind of refusal', () => {
  assert.ok(held.length > 10 && bought.length > 10)
  const recorded = ['checkout_attempts', 'purchase_attempts'].flatMap((table) => readRows().tables[table] ?? [])
  assert.ok(recorded.length > 0 && recorded.length <= story.answers.length - story.undrained && story.undrained > 0)
  const codes = new Set(story.answers.flatMap(({ status, body }) => (status === 200 ? [] : [String(body['code'])])))
  const refusals = ['code_expired', 'code_unknown', 'item_held', 'item_sold', 'item_unknown', 'sale_closed']
  assert.deepEqual([...codes].toSorted(), [...refusals, 'sale_not_open', 'user_limit_reached'])
})

test('the first start goes on with the sale, and drains what was not drained', async (t) => {
  const dataDir = await lastVersionsFolder(t)
  const cluster = await startOn(t, { dataDir, atMs: story.endedAtMs + secondsLater * 1_000 })
  assert.match(cluster.logLines().join('\n'), /007-shards\.sql/)
  const decided = new Decided()
  await assertPromisesKept(cluster, decided)
  await assertAudited(cluster, decided)
  assert.deepEqual(await cluster.stop(), orderly)
})

test('with APP_SHARDS=3 it goes on in the first shard, and the next sale is over three', async (t) => {
  const dataDir = await lastVersionsFolder(t)
  const env = { APP_SHARDS: '3' }
  const decided = new Decided()
  const first = await startOn(t, { dataDir, env, atMs: story.endedAtMs + secondsLater * 1_000 })
  await assertPromisesKept(first, decided)
  await assertAudited(first, decided)
  assert.deepEqual(await first.stop(), orderly)

  const atMs = (current + 1) * intervalSeconds * 1_000
  const cluster = await startOn(t, { dataDir, env, atMs })
  assert.equal(await currentSale(cluster), current + 1)
  for (const index of [1, 2, 3]) {
    const code = await hold(cluster, 'newcomer', `${current + 1}-${index}`)
    const { headers, status, text } = await purchase(cluster, code)
    assert.equal(status, 200, text)
    const shard = shardOf(index, 3)
    assert.match(String(headers['hotcakes-decision']), shard === 0 ? /^\d+-/ : new RegExp(`^${shard}:`))
    decided.count += 2
  }
  assertProblem(decided.of(await checkout(cluster, 'newcomer', `${current + 1}-4`)), 409, 'user_limit_reached')
  await assertAudited(cluster, decided)
  assert.deepEqual(await cluster.stop(), orderly)
})
