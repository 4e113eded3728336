import assert from 'node:assert/strict'
import {
  afterCode,
  afterNonce,
  BatchWriter,
  DecisionReader,
  lendNonce,
  type Receipt,
  type Received,
  type SaleTerms,
} from '../../core/decisions.ts'
import { outcomes, type Reply, replies } from '../../core/outcomes.ts'
import { SaleStore } from '../../core/redis/sale-store.ts'
import { homeShard } from '../../core/rights.ts'
import { shardNumbers } from '../../core/shards.ts'
import type { EmbeddedRedis } from '../../ops/embedded/facts.ts'
import type { SoldItems } from '../../server/worker/selling/sold-items.ts'
import type { Scope } from './scope.ts'
import { commandTimeoutMs } from './services.ts'

export const intervalMs = 3_600_000
export const ttlSeconds = 86_400

export type RightsCommand =
  | {
      readonly kind: 'checkout'
      readonly index: number
      readonly nonce: string
      readonly user: string
      readonly receipts?: readonly Receipt[]
      readonly isLastWord?: boolean
    }
  | { readonly kind: 'purchase'; readonly index: number; readonly nonce: string }
  | { readonly kind: 'release'; readonly index: number; readonly nonce: string }
  | { readonly kind: 'lend'; readonly to: number; readonly user: string; readonly receipts?: readonly Receipt[] }

/** What a command gets, with those details that the reply has. Times in ms since the epoch. */
export interface RightsReply {
  readonly reply: Reply
  readonly received: readonly Received[]
  readonly nonce?: string
  readonly user?: string
  readonly expiresAtMs?: number
  readonly purchasedAtMs?: number
  readonly shards?: number
  readonly epoch?: number
  readonly lent?: readonly number[]
  readonly got?: readonly number[]
}

export interface RightsDecided {
  readonly nowMs: number
  readonly replies: readonly RightsReply[]
  /** Of the log entry; '' where there is none. */
  readonly id: string
}

/** So many shards in one Redis, each with a connection of its own, empty and ready to decide. */
export async function connectShards(scope: Scope, settings: EmbeddedRedis, count: number): Promise<SaleStore[]> {
  const stores = shardNumbers(count).map(
    (shard) => new SaleStore(settings, { shard, name: 'shards-test', commandTimeoutMs }),
  )
  for (const store of stores) {
    scope.after(() => store.close())
    await store.connect()
    await store.claimEpoch(1)
  }
  return stores
}

/** Opens a sale as a server does: shard 0 first, each other one that has a part in it by what shard 0 lists. */
export async function openEverywhere(stores: readonly SaleStore[], terms: SaleTerms): Promise<void> {
  const [first, ...others] = stores.slice(0, terms.shards)
  const listed = await first?.openSale(terms, ttlSeconds)
  assert.ok(listed?.opened)
  for (const store of others) await store.openSale(listed.terms, ttlSeconds, listed.expiresAtMs)
}

/**
 * Decides them as one batch.
 * @param sold what was seen of that shard, to send checkouts of sold items as such, as a worker does
 * @throws Fault
 */
export async function decideBatch(
  store: SaleStore,
  sale: number,
  { commands, sold }: { readonly commands: readonly RightsCommand[]; readonly sold?: SoldItems },
): Promise<RightsDecided> {
  const writer = new BatchWriter(intervalMs, sold?.epoch)
  for (const command of commands) {
    if (isKnownSold(sale, command, sold)) writer.addSold(sale, String(command.index), command.nonce, command.user)
    else addTo(writer, sale, command)
  }
  const { results, id } = await store.decide(writer.encode())
  if (sold !== undefined) learn(sold, { sale, commands, results, id })
  return { ...readReplies(results), id }
}

type Checkout = Extract<RightsCommand, { kind: 'checkout' }>

function isKnownSold(sale: number, command: RightsCommand, sold?: SoldItems): command is Checkout {
  if (command.kind !== 'checkout' || sold?.has(sale, String(command.index)) !== true) return false
  return command.isLastWord !== true && (command.receipts ?? []).length === 0
}

function learn(
  sold: SoldItems,
  batch: { sale: number; commands: readonly RightsCommand[]; results: Buffer; id: string },
): void {
  if (batch.id !== '') sold.decidedIn(batch.id)
  const reader = new DecisionReader(batch.results)
  for (const command of batch.commands)
    if (reader.next() && reader.isOfSoldItem && command.kind !== 'lend') sold.learn(batch.sale, String(command.index))
}

function addTo(writer: BatchWriter, sale: number, command: RightsCommand): void {
  switch (command.kind) {
    case 'checkout': {
      const { index, nonce, user, receipts = [], isLastWord = false } = command
      writer.add(sale, String(index), nonce + afterNonce(receipts, { isLastWord }), user)
      break
    }
    case 'purchase':
    case 'release': {
      const isRelease = command.kind === 'release'
      writer.add(sale, String(command.index), command.nonce + afterCode({ isRelease }), '')
      break
    }
    case 'lend':
      writer.add(sale, String(command.to), lendNonce + afterNonce(command.receipts ?? []), command.user)
  }
}

export function readReplies(results: Uint8Array): { nowMs: number; replies: RightsReply[] } {
  const reader = new DecisionReader(results)
  const read: RightsReply[] = []
  while (reader.next()) read.push(replyOf(reader))
  return { nowMs: reader.nowMs, replies: read }
}

const catalogue: Record<Reply, { readonly details: readonly string[] }> = { ...outcomes, ...replies }

function replyOf(reader: DecisionReader): RightsReply {
  const { reply, received, nonce, user, expiresAtMs, purchasedAtMs, shards, epoch, lent, got } = reader
  const { details } = catalogue[reply]
  return {
    reply,
    received,
    ...(details.includes('nonce') ? { nonce } : {}),
    ...(details.includes('user') ? { user } : {}),
    ...(details.some((name) => name === 'hold_ms' || name === 'expires_in_ms') ? { expiresAtMs } : {}),
    ...(reply === 'purchased' || reply === 'purchased_again' ? { purchasedAtMs } : {}),
    ...(details.includes('shards') ? { shards } : {}),
    ...(details.includes('rows') ? { epoch, lent, got } : {}),
  }
}

/** Some user whose rights are dealt out from that shard. */
export function userAtHome(home: number, shards: number, name = 'user'): string {
  for (let n = 0; ; n++) if (homeShard(`${name}-${n}`, shards) === home) return `${name}-${n}`
}
