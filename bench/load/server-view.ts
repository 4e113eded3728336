import { setTimeout as delay } from 'node:timers/promises'
import type { Sale } from './shop.ts'

/** What a bench asks a running server for, over its HTTP API alone. */

const askMsMax = 30_000
const pollMs = 100
/** A server that has said nothing for so long has died. */
const silenceMsMax = 60_000

export interface ServedSale extends Sale {
  readonly held: number
  readonly sold: number
  readonly available: number
  readonly closesAtMs: number
}

export interface ServedLog {
  readonly backlogEntries: number
  readonly lagSeconds: number
}

/** @throws when the server does not answer, or answers something else */
export async function askSale(url: string): Promise<ServedSale> {
  const { status, body } = await ask(`${url}/sale`)
  const { id, items, held, sold, available, closes_at: closesAt } = body
  if (status !== 200 || !isCount(id) || !isCount(items))
    throw new Error(`GET /sale was answered ${status}, without a sale: is this hotcakes?`)
  return {
    id,
    items,
    held: Number(held),
    sold: Number(sold),
    available: Number(available),
    closesAtMs: Date.parse(String(closesAt)),
  }
}

/** `undefined`: the server says nothing about its log. */
export async function askLog(url: string): Promise<ServedLog | undefined> {
  const { body } = await ask(`${url}/readyz`)
  const checks = body['checks'] as { log?: { backlog_entries?: unknown; lag_seconds?: unknown } } | undefined
  const { backlog_entries: backlogEntries, lag_seconds: lagSeconds } = checks?.log ?? {}
  return isCount(backlogEntries) ? { backlogEntries, lagSeconds: Number(lagSeconds) || 0 } : undefined
}

/**
 * Waits until everything in the log is in Postgres. @returns how long that took; `undefined`: longer than `msMax`, or
 * the server did not answer any more
 */
export async function drained(url: string, msMax: number, signal: AbortSignal): Promise<number | undefined> {
  const startedMs = performance.now()
  let heardMs = startedMs
  for (let nowMs = startedMs; nowMs - startedMs < msMax && !signal.aborted; nowMs = performance.now()) {
    const state = await askLog(url).catch(() => undefined) // it may be busy: a later look tells
    if (state?.backlogEntries === 0) return (performance.now() - startedMs) / 1_000
    if (state !== undefined) heardMs = nowMs
    else if (nowMs - heardMs > silenceMsMax) return undefined
    await delay(pollMs)
  }
  return undefined
}

async function ask(url: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, { signal: AbortSignal.timeout(askMsMax) })
  const text = await response.text()
  try {
    return { status: response.status, body: JSON.parse(text) as Record<string, unknown> }
  } catch {
    throw new Error(`${new URL(url).pathname} was answered ${response.status} and no JSON`)
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
