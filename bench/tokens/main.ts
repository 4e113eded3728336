// npm run bench:tokens: what good buyers keep while forged tokens come, by the kind of forgery.

import { fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { type Command, type Options, runCommand, type Values, wholeNumber } from '../../core/command-line.mjs'
import { firstMessage } from '../harness/first-message.ts'
import { describeMachine } from '../harness/machine.ts'
import { median } from '../harness/median.ts'
import { compiled, startHotcakes } from '../harness/server-under-test.ts'
import { stopChild } from '../harness/stop-child.ts'
import { ClosedLoop, type Counts } from './closed-loop.ts'
import type { FloodOrder } from './flood-process.ts'
import { audience, type FloodKind, floodKinds, forgeryOf, Issuer, issuer } from './kinds.ts'

const positive = wholeNumber({ min: 1 })
const buyers = 200
const items = 10_000
const manyAddresses = 200
const stopMsMax = 10_000
const answerMsMax = 60_000
const pollMs = 50

const tokensCommand = {
  name: 'npm run bench:tokens',
  purpose: `Measures what good buyers, whose tokens are remembered, keep of their answers while others flood a server of its own with
    forged tokens (APP_BUYERS=signed). The floods come in turn, round by round, from a process of their own. All are compared with
    the same flood without tokens, which takes as much to send and to refuse.`,
  options: {
    seconds: { value: 'N', read: positive, default: 3, doc: 'of each flood in each round' },
    rounds: { value: 'N', read: positive, default: 3, doc: 'how often each comes' },
    connections: { value: 'N', read: positive, default: 32, doc: 'of the good buyers, and as many of the flood' },
    json: { doc: 'the report as JSON instead of the table' },
    smoke: { doc: 'a moment of each, to see that it works' },
  },
  exits: { 0: 'measured', 1: 'the server did not start' },
} satisfies Command<Options>

export interface FloodResult {
  readonly kind: FloodKind
  /** Answers a second that good buyers had, of each round, and by status of all rounds; the same of the flood. */
  readonly goodPerSecond: readonly number[]
  readonly good: Counts
  readonly flood: Counts
}

process.exitCode = await runCommand(tokensCommand, process.argv.slice(2), main)

async function main(asked: Values<typeof tokensCommand.options>): Promise<number> {
  const plan = asked.smoke ? { ...asked, seconds: 0.3, rounds: 1, connections: 4 } : asked
  const identity = await Issuer.make()
  const server = await startHotcakes({
    APP_BUYERS: 'signed',
    APP_JWT_KEYS: keysFile(identity),
    APP_JWT_ISSUER: issuer,
    APP_JWT_AUDIENCE: audience,
    APP_WORKERS: '1',
    APP_ITEM_NUMBER: String(items),
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
  })
  const flood = fork(compiled('../tokens/flood-process.js'))
  try {
    const port = Number(new URL(server.url).port)
    const { id: sale } = (await (await fetch(`${server.url}/sale`)).json()) as { id: number }
    const tokens = await Promise.all(Array.from({ length: buyers }, (_, n) => identity.token(`buyer-${n}`)))
    // Each is verified before anything is measured.
    for (const token of tokens) {
      const headers = { authorization: `Bearer ${token}` }
      await (await fetch(`${server.url}/purchase?code=none`, { method: 'POST', headers })).text()
    }
    const results = new Map<FloodKind, FloodResult>()
    for (let round = 0; round < plan.rounds; round++) {
      for (const kind of floodKinds) {
        const one = await measure(kind, { port, sale, tokens, flood, ...plan })
        const before = results.get(kind)
        results.set(kind, before === undefined ? one : joined(before, one))
      }
    }
    const all = [...results.values()]
    process.stdout.write(plan.json ? `${JSON.stringify({ machine: describeMachine(), results: all })}\n` : tableOf(all))
    return 0
  } finally {
    await stopChild(flood, stopMsMax)
    await server.stop()
  }
}

interface Setting {
  readonly port: number
  readonly sale: number
  readonly tokens: readonly string[]
  readonly flood: ReturnType<typeof fork>
  readonly seconds: number
  readonly connections: number
}

async function measure(
  kind: FloodKind,
  { port, sale, tokens, flood, seconds, connections }: Setting,
): Promise<FloodResult> {
  const path = `/checkout?id=${sale}-1`
  if (kind !== 'none') {
    const addresses = kind.endsWith('addresses') ? manyAddresses : 1
    flood.send({ forgery: forgeryOf(kind), port, connections, addresses, path } satisfies FloodOrder)
  }
  let sent = 0
  const good = new ClosedLoop({
    port,
    connections,
    from: () => '127.0.0.1',
    next: () => {
      sent += 1
      const item = 1 + ((sent * 7_919) % items)
      return `POST /checkout?id=${sale}-${item} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer ${tokens[sent % tokens.length]}\r\n\r\n`
    },
  })
  const startedMs = performance.now()
  await delay(seconds * 1_000)
  // A moment of a busy machine may be too short for any answer.
  while (Object.keys(good.counts).length === 0 && performance.now() - startedMs < answerMsMax) await delay(pollMs)
  const counts = good.stop()
  const passed = (performance.now() - startedMs) / 1_000
  let flooded: Counts = {}
  if (kind !== 'none') {
    const said = firstMessage<Counts>(flood, stopMsMax)
    flood.send('stop')
    flooded = await said
  }
  const served = Object.entries(counts).reduce(
    (sum, [status, count]) => (/^[24]/.test(status) && status !== '401' ? sum + count : sum),
    0,
  )
  return { kind, goodPerSecond: [served / passed], good: counts, flood: flooded }
}

function joined(a: FloodResult, b: FloodResult): FloodResult {
  return {
    kind: a.kind,
    goodPerSecond: [...a.goodPerSecond, ...b.goodPerSecond],
    good: added(a.good, b.good),
    flood: added(a.flood, b.flood),
  }
}

function added(a: Counts, b: Counts): Counts {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return Object.fromEntries(names.map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]))
}

/** Round by round to the flood without tokens: what disturbs the machine meets both. */
function tableOf(results: readonly FloodResult[]): string {
  const plain = results.find(({ kind }) => kind === 'no token')?.goodPerSecond ?? []
  const lines = results.map(({ kind, goodPerSecond, good, flood }) => {
    const ratios = goodPerSecond.map((each, round) => each / (plain[round] ?? Number.NaN)).toSorted((x, y) => x - y)
    const ratio = `${median(ratios).toFixed(2)} (${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)})`
    return `${kind.padEnd(32)}${Math.round(median(goodPerSecond))}/s  x${ratio}  good ${JSON.stringify(good)}  flood ${JSON.stringify(flood)}`
  })
  return `${lines.join('\n')}\n`
}

function keysFile({ jwk }: Issuer): string {
  const folder = mkdtempSync(join(tmpdir(), 'hotcakes-keys-'))
  const path = join(folder, 'keys.json')
  writeFileSync(path, JSON.stringify({ keys: [jwk] }))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return path
}
