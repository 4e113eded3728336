// The audience: one process that has the sale board open, many times over, and takes in what it is told. Its order comes
// as the first message; what it counted goes back at the end.

import { setTimeout as delay } from 'node:timers/promises'
import { Viewer } from '../board/viewer.ts'
import type { Viewing } from '../report/report.ts'
import { type CompanionOrder, serveCompanion } from './companion.ts'

/** Connections that are opened at once. */
const openingAtOnce = 50
const clockOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now()

async function view({ settings, url, startMs, endMs }: CompanionOrder, ended: AbortSignal): Promise<Viewing> {
  let messages = 0
  let bytes = 0
  const count = (message: Buffer): void => {
    messages += 1
    bytes += message.length
  }
  const feed = new URL('/board/feed', url).href
  const viewers: Viewer[] = []
  while (viewers.length < settings.viewers) {
    const some = Math.min(openingAtOnce, settings.viewers - viewers.length)
    viewers.push(...(await Promise.all(Array.from({ length: some }, () => Viewer.open(feed, count)))))
  }
  const wait = (ms: number): Promise<void> =>
    delay(Math.max(0, ms), undefined, { signal: ended }).catch(() => undefined) // stopped
  const from = Math.max(startMs - clockOffsetMs, performance.now())
  await wait(from - performance.now())
  const cpuBefore = process.cpuUsage()
  messages = bytes = 0
  await wait(endMs - clockOffsetMs - performance.now())
  const seconds = Math.max(1e-3, (performance.now() - from) / 1_000)
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    viewers: viewers.length,
    closed: viewers.filter(({ isClosed }) => isClosed).length,
    messagesPerSecond: messages / seconds,
    bytesPerSecond: bytes / seconds,
    cpuSeconds: (user + system) / 1e6,
  }
}

serveCompanion(view)
