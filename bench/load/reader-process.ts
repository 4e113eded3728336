// The readers: one process that reads items and records on a fixed schedule beside the buyers. Its order comes as the
// first message; what it counted goes back at the end.

import { setTimeout as delay } from 'node:timers/promises'
import autocannon from 'autocannon'
import { SeededRandom } from '../harness/seeded-random.ts'
import { newHistogram, summarize } from '../report/latencies.ts'
import type { Reading } from '../report/report.ts'
import { attach } from './autocannon-wire.ts'
import { type CompanionOrder, serveCompanion } from './companion.ts'
import { nextLook } from './reader.ts'
import { FixedRate, type Sender } from './schedule.ts'

const connections = 32
const foreverSeconds = 2_000_000
const clockOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now()

async function read({ settings, url, sale, startMs, endMs }: CompanionOrder, ended: AbortSignal): Promise<Reading> {
  const latency = newHistogram()
  const counts = { ok: 0, turnedAway: 0, other: 0, unanswered: 0 }
  const random = new SeededRandom(settings.seed)
  const requestEnd = ` HTTP/1.1\r\nHost: ${new URL(url).host}\r\nConnection: keep-alive\r\n\r\n`
  const schedule = new FixedRate(settings.reads, performance.now())
  const from = startMs - clockOffsetMs
  const setupClient = (client: autocannon.Client): void => {
    let dueMs = 0
    const count = (kind: keyof typeof counts): void => {
      const nowMs = performance.now()
      if (nowMs < from) return
      counts[kind] += 1
      latency.recordValue(Math.max(1, Math.round((nowMs - dueMs) * 1_000)))
    }
    const sender: Sender = { wake: () => undefined }
    sender.wake = attach(
      client,
      {
        next: () => {
          const due = schedule.take(sender)
          if (due === undefined) return undefined
          dueMs = due
          return `GET ${nextLook({ sale, users: settings.users, random })}${requestEnd}`
        },
        answered: (status) => count(status === 200 ? 'ok' : status === 503 ? 'turnedAway' : 'other'),
        lost: () => count('unanswered'),
      },
      settings.timeout * 1_000,
    )
  }
  const options = { url, connections, duration: foreverSeconds, timeout: settings.timeout, setupClient }
  const load = autocannon(options, () => undefined)
  await delay(Math.max(0, from - performance.now()), undefined, { signal: ended }).catch(() => undefined) // stopped
  const cpuBefore = process.cpuUsage()
  await delay(endMs - clockOffsetMs - performance.now(), undefined, { signal: ended }).catch(() => undefined) // stopped
  const seconds = Math.max(1e-3, (performance.now() - from) / 1_000)
  const { user, system } = process.cpuUsage(cpuBefore)
  schedule.close()
  load.stop()
  return {
    offeredPerSecond: settings.reads,
    answeredPerSecond: (counts.ok + counts.turnedAway + counts.other) / seconds,
    ...counts,
    latency: summarize(latency),
    cpuSeconds: (user + system) / 1e6,
  }
}

serveCompanion(read)
