// Goal: whoever copies a buyer of examples/ has one that buys, that takes no for an answer, that asks again when it should, and
// that leaves no hold behind.
// Method: each runs as its user would run it, against a real server; its Redis goes away, its answers get lost, it is interrupted.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { freePort } from '../core/free-port.ts'
import type * as Storm from '../examples/storm.ts'
import { apiTypes, apiTypesFile } from './api-types/api-types.ts'
import { startCluster } from './helpers/cluster.ts'
import { documentedChapter, runDocumented } from './helpers/documented.ts'
import { eventually } from './helpers/eventually.ts'
import {
  type ExampleBuyer,
  exampleBuyers,
  exampleEnv,
  runGo,
  startBuyer,
  startLossyWay,
} from './helpers/example-buyers.ts'
import { currentSale, hold, purchase, release } from './helpers/items.ts'
import { counts, importK6Script, tagsSeen } from './helpers/k6-stand-in.ts'
import type { Scope } from './helpers/scope.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { keysFile, SigningKey, signedEnv } from './helpers/tokens.ts'

// First: without Go, or Python, nothing is left running.
const buyers = exampleBuyers({ after })
const [redis, postgres] = await Promise.all([startRedis({ after }), startPostgres({ after })])
const env = {
  ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
  APP_WORKERS: '1',
  APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  APP_ITEM_NUMBER: '60',
  APP_USER_LIMIT: '2',
}
const cluster = await startCluster({ after }, { env })
const sale = await currentSale(cluster)
const storm = await importK6Script<typeof Storm>({ after }, 'examples/storm.ts', {
  HOTCAKES_SHOP: cluster.baseUrl,
})
const facts = storm.setup()
const readme = { path: 'examples/README.md', heading: 'A buyer' }

const taken = { held: `${sale}-1`, sold: `${sale}-2` }
const holdersCode = await hold(cluster, 'holder', taken.held)
assert.equal((await purchase(cluster, await hold(cluster, 'owner', taken.sold))).status, 200)

function run(scope: Scope, buyer: ExampleBuyer, ...args: string[]) {
  return startBuyer(scope, buyer, { shop: cluster.baseUrl, args }).ended
}

async function itemsIn(state: string): Promise<string[]> {
  const { json } = await cluster.http.get(`/items?limit=100&state=${state}`)
  return (json as { items: { id: string }[] }).items.map(({ id }) => id)
}

function purchaseIn(stdout: string): { status: string; item_id: string; user_id: string } {
  return JSON.parse(stdout) as { status: string; item_id: string; user_id: string }
}

for (const buyer of buyers) {
  const { language } = buyer
  const user = (role: string) => ['--user', `${language}-${role}`]

  test(`${language}: buys an item that is available, or the one that it is told`, async (t) => {
    const some = await run(t, buyer, ...user('ann'))
    assert.equal(some.status, 0, some.stderr)
    const bought = purchaseIn(some.stdout)
    assert.deepEqual([bought.status, bought.user_id], ['purchased', `${language}-ann`])
    assert.ok((await itemsIn('sold')).includes(bought.item_id))
    assert.match(some.stderr, new RegExp(`^buyer: holds ${bought.item_id} until 20\\d\\d-[^\\n]+\n$`))

    const [item = ''] = await itemsIn('available')
    const told = await run(t, buyer, ...user('ann'), '--item', item)
    assert.deepEqual([told.status, purchaseIn(told.stdout).item_id], [0, item], told.stderr)
    const another = await run(t, buyer, ...user('ann'))
    assert.deepEqual([another.status, another.stdout], [3, ''])
    assert.match(another.stderr, /409 user_limit_reached: /)
  })

  test(`${language}: what somebody else has it does not get, and says so at once`, async (t) => {
    for (const [item, code] of [
      [taken.sold, 'item_sold'],
      // It is free in ten minutes at the latest: too late for a deadline of one.
      [taken.held, 'item_held'],
      [`${sale}-61`, 'item_unknown'],
    ] as const) {
      const { status, stdout, stderr } = await run(t, buyer, ...user('bob'), '--item', item)
      assert.deepEqual([status, stdout], [3, ''], stderr)
      assert.match(stderr, new RegExp(`^buyer: 4\\d\\d ${code}: [^\n]+\n$`))
    }
  })

  test(`${language}: waits for an item that is held, when it is free again in time`, async (t) => {
    const [item = ''] = await itemsIn('available')
    const code = await hold(cluster, `${language}-slow`, item)
    const waiting = startBuyer(t, buyer, {
      shop: cluster.baseUrl,
      args: [...user('carl'), '--item', item, '--deadline', buyer.seconds(1_200)],
    })
    await eventually(() => /POST \/checkout: 409 item_held.*; asks again in \d{3}\.\d s/.test(waiting.said()))
    waiting.child.kill('SIGTERM')
    assert.equal((await waiting.ended).status, 130)
    assert.equal((await release(cluster, code)).status, 200)
  })

  test(`${language}: Ctrl+C gives the hold back`, async (t) => {
    const buying = startBuyer(t, buyer, {
      shop: cluster.baseUrl,
      args: [...user('dora'), '--think', buyer.seconds(50)],
    })
    const [, item = ''] = await eventually(() => /holds (\S+) until/.exec(buying.said()))
    assert.ok((await itemsIn('held')).includes(item))
    buying.child.kill('SIGINT')
    const { status, stdout, stderr } = await buying.ended
    assert.deepEqual([status, stdout], [130, ''], stderr)
    assert.match(stderr, new RegExp(`gave ${item} back\n`))
    assert.ok((await itemsIn('available')).includes(item))
  })

  test(`${language}: answers that are lost come again, and it buys once`, async (t) => {
    const { url, seen } = await startLossyWay(t, cluster.baseUrl)
    const [sold, held] = [await itemsIn('sold'), await itemsIn('held')]
    const { status, stdout, stderr } = await startBuyer(t, buyer, { shop: url, args: user('eve') }).ended
    assert.equal(status, 0, stderr)
    for (const operation of ['POST /checkout', 'POST /purchase']) {
      assert.ok(seen.has(operation))
      assert.ok(stderr.includes(`${operation}: no answer (`), stderr)
    }
    assert.deepEqual(new Set(await itemsIn('sold')), new Set([...sold, purchaseIn(stdout).item_id]))
    assert.deepEqual(await itemsIn('held'), held)
  })

  test(`${language}: Ctrl+C after a purchase whose answer was lost gives the purchase, and not the hold back`, async (t) => {
    const { url } = await startLossyWay(t, cluster.baseUrl, { until: 'POST /release' })
    const buying = startBuyer(t, buyer, { shop: url, args: user('fay') })
    await eventually(() => buying.said().includes('POST /purchase: no answer ('))
    buying.child.kill('SIGINT')
    const { status, stdout, stderr } = await buying.ended
    assert.equal(status, 0, stderr)
    assert.ok((await itemsIn('sold')).includes(purchaseIn(stdout).item_id))
  })

  test(`${language}: says how it is used, and what is wrong with how it was`, async (t) => {
    const help = await run(t, buyer, '--help')
    const text = help.stdout + help.stderr
    assert.equal(help.status, 0, text)
    for (const word of [
      'usage: buyer',
      'shop',
      'user',
      'token',
      'item',
      'think',
      'deadline',
      'exit status: 0 purchased',
    ])
      assert.ok(text.includes(word), `${word}: ${text}`)
    for (const args of [
      [],
      ['--no-such-option'],
      [...user('gus'), '--think', 'x'],
      [...user('gus'), '--deadline', '-1s'],
    ]) {
      const slip = await run(t, buyer, ...args)
      assert.deepEqual([slip.status, slip.stdout], [2, ''], `${args.join(' ')}: ${slip.stderr}`)
      assert.match(slip.stderr, /usage: buyer/)
    }
    const noUrl = await startBuyer(t, buyer, { shop: 'localhost:8080', args: user('gus') }).ended
    assert.equal(noUrl.status, 2)
    assert.match(noUrl.stderr, /-shop must be like http:/)
  })

  test(`${language}: a shop that does not answer is asked until the deadline`, async (t) => {
    const shop = `http://127.0.0.1:${await freePort()}`
    const patient = startBuyer(t, buyer, { shop, args: [...user('hal'), '--deadline', buyer.seconds(600)] })
    await eventually(() => /GET \/sale: no answer \(.*refused.*\); asks again in \d\.\d s/i.test(patient.said()))
    patient.child.kill('SIGTERM')
    assert.equal((await patient.ended).status, 130)
    const { ended } = startBuyer(t, buyer, { shop, args: [...user('hal'), '--deadline', buyer.seconds(1)] })
    const { status, stdout } = await ended
    assert.deepEqual([status, stdout], [1, ''])
  })
}

test('the commands of examples/README.md buy what it shows', async () => {
  const printed = await runDocumented(readme, exampleEnv(cluster.baseUrl))
  const [, shown = ''] = /```text\n(.*?)```/s.exec(documentedChapter(readme).join('\n')) ?? []
  assert.equal(withoutNumbers(printed), withoutNumbers(shown))
})

function withoutNumbers(text: string): string {
  return text.replaceAll(/\d+/g, 'N')
}

function counted(name: string): number {
  return counts.get(`hotcakes_${name}`) ?? 0
}

test('a storm buys, meets the limit of its buyers, and counts what would break a promise', () => {
  const buyOneMore = (terms: typeof facts.sale) => {
    const before = counted('purchases')
    while (counted('purchases') === before) storm.buy({ ...facts, sale: terms })
  }
  while (counted('refusals') === 0) buyOneMore(facts.sale)
  storm.look()
  assert.deepEqual([counted('server_errors'), counted('limit_breaches')], [0, 0])
  assert.deepEqual(
    [...counts.keys()].filter((name) => name.startsWith('failed: ')),
    [],
  )
  // Only what is asked once may stand in the statistics by its address.
  assert.deepEqual([...tagsSeen].toSorted(), ['checkout', `${cluster.baseUrl}/sale`, 'items', 'purchase'])

  // A shop that gives more than it says.
  buyOneMore({ ...facts.sale, user_limit: 0 })
  assert.equal(counted('limit_breaches'), 1)

  const values = [...counts].map(([name, value]) => [name, { values: { count: value } }] as const)
  const { stdout = '' } = storm.handleSummary({ metrics: Object.fromEntries(values) })
  assert.ok(stdout.startsWith(`purchases ${counted('purchases')}, refusals ${counted('refusals')}\n`), stdout)
  const ofK6 = new Set(['checks', 'dropped_iterations', 'http_req_duration'])
  const named = Object.keys(storm.options.thresholds ?? {}).map((name) => name.split('{')[0] ?? '')
  assert.deepEqual(
    named.filter((name) => !counts.has(name) && !ofK6.has(name)),
    [],
  )
})

test('all of them outlast a server that can not decide for a while', async (t) => {
  await redis.stop()
  await eventually(async () => (await cluster.http.get('/sale')).status === 503, { what: 'the end of Redis' })
  const running = buyers.map((buyer) => {
    const args = ['--user', `${buyer.language}-ida`, '--deadline', buyer.seconds(600)]
    return startBuyer(t, buyer, { shop: cluster.baseUrl, args })
  })
  for (const { said } of running)
    await eventually(() => /GET \/sale: 503 unavailable.*; asks again in [1-9]\d*\.\d s/.test(said()), {
      what: 'a 503',
    })
  storm.buy(facts)
  assert.equal(counts.get('hotcakes_server_errors'), 1)
  await redis.start()
  for (const { ended } of running) {
    const { status, stderr } = await ended
    assert.equal(status, 0, stderr)
  }
})

test('all of them bring a token where the server asks for one, and slow down when it tells them to', async (t) => {
  const key = await SigningKey.make('ES256', 'one')
  const signed = await startCluster(t, {
    // Fewer than a purchase takes.
    env: { ...env, ...signedEnv(keysFile(t, [key]).path), APP_RATE_LIMIT_PER_SECOND: '2' },
  })
  for (const buyer of buyers) {
    const token = await key.token(`${buyer.language}-jan`)
    const buying = startBuyer(t, buyer, { shop: signed.baseUrl, args: ['--think', buyer.seconds(0)], token })
    // They have one address, so this takes what the buyer may ask.
    await eventually(async () => {
      await signed.http.get('/sale')
      return /429 rate_limited/.test(buying.said())
    })
    const { status, stdout, stderr } = await buying.ended
    assert.equal(status, 0, stderr)
    assert.equal(purchaseIn(stdout).user_id, `${buyer.language}-jan`)
    assert.ok(!stderr.includes(token))

    const forged = `${token.slice(0, -8)}AAAAAAAA`
    const refused = await startBuyer(t, buyer, { shop: signed.baseUrl, args: [], token: forged }).ended
    assert.deepEqual([refused.status, refused.stdout], [1, ''])
    assert.match(refused.stderr, /401 unauthorized: /)
    assert.ok(!refused.stderr.includes(forged))
  }
})

test('all of them wait while what is left is held, and end when it is sold', async (t) => {
  for (const [n, item] of (await itemsIn('available')).entries()) {
    const { status, text } = await purchase(cluster, await hold(cluster, `rest-${n}`, item))
    assert.equal(status, 200, text)
  }
  assert.deepEqual(await itemsIn('held'), [taken.held])
  const running = buyers.map((buyer) => {
    const args = ['--user', `${buyer.language}-kai`, '--deadline', buyer.seconds(600)]
    return startBuyer(t, buyer, { shop: cluster.baseUrl, args })
  })
  for (const { said } of running) await eventually(() => said().includes('all that is left is held'))
  assert.equal((await purchase(cluster, holdersCode)).status, 200)
  for (const { ended } of running) {
    const { status, stdout, stderr } = await ended
    assert.deepEqual([status, stdout], [3, ''], stderr)
    assert.match(stderr, /sold out\n$/)
  }
})

test('they are what their languages take for well written', () => {
  assert.equal(runGo('vet', 'examples/buyer.go'), '')
  const gofmt = spawnSync(join(runGo('env', 'GOROOT').trim(), 'bin/gofmt'), ['-l', 'examples'], { encoding: 'utf8' })
  assert.deepEqual([gofmt.status, gofmt.stdout], [0, ''])
  const parse = 'import ast, sys; ast.parse(open(sys.argv[1]).read(), feature_version=(3, 9))'
  const python = spawnSync('python3', ['-W', 'error', '-c', parse, 'examples/buyer.py'], { encoding: 'utf8' })
  assert.equal(python.status, 0, python.stderr)
})

test('the types of the TypeScript buyer are those of the API', async () => {
  // Not assert.equal, which would print both.
  assert.ok(readFileSync(apiTypesFile, 'utf8') === (await apiTypes()), 'its head says how to write it anew')
})
