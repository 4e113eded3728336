import type { MovedRights } from '../../core/redis/user-entry.ts'
import { baseRights, homeShard } from '../../core/rights.ts'
import { type Evidence, formatPlace, type RedisPart, type TransferRow } from './evidence.ts'
import type { Findings } from './findings.ts'

/**
 * Rights move by totals. What is received was lent before: its lender has a row of it, unless Redis has lost that entry, and
 * then it was received before the lender's next epoch began. When nothing is on its way any more, Redis has what the rows
 * of both sides say; a lender always knows of what was got from it, and nobody uses more than there is.
 */
export function checkRights(evidence: Evidence, findings: Findings): void {
  checkReceived(evidence, findings)
  const rows = totalsOnRecord(evidence.transfers)
  for (const part of evidence.redis) if (part.terms.shards > 1) checkPart(part, evidence, rows, findings)
}

function checkReceived({ transfers, epochs, losses }: Evidence, findings: Findings): void {
  const loans = new Map<string, TransferRow[]>()
  for (const row of transfers) {
    if (row.kind !== 'lent') continue
    const key = moveKey(row.sale, row.user, { from: row.shard, to: row.peer })
    const found = loans.get(key)
    if (found === undefined) loans.set(key, [row])
    else found.push(row)
  }
  for (const row of transfers) {
    if (row.kind !== 'got') continue
    const ofMove = loans.get(moveKey(row.sale, row.user, { from: row.peer, to: row.shard })) ?? []
    if (ofMove.some(({ total, decidedAtMs }) => total >= row.total && decidedAtMs <= row.decidedAtMs)) continue
    const wasLost =
      losses.some(({ shard }) => shard === row.peer) &&
      epochs.some(({ shard, begunAtMs }) => shard === row.peer && begunAtMs >= row.decidedAtMs)
    if (!wasLost)
      findings.add(
        'rights_differ',
        `${formatPlace(row)}: ${row.user} got ${row.total} from ${row.peer}, which lent less`,
      )
  }
}

/** Move -> the greatest totals on record. */
function totalsOnRecord(transfers: readonly TransferRow[]): Map<string, { lent: number; got: number }> {
  const totals = new Map<string, { lent: number; got: number }>()
  for (const { sale, user, shard, peer, kind, total } of transfers) {
    const move = kind === 'lent' ? { from: shard, to: peer } : { from: peer, to: shard }
    const key = moveKey(sale, user, move)
    const found = totals.get(key) ?? { lent: 0, got: 0 }
    found[kind] = Math.max(found[kind], total)
    totals.set(key, found)
  }
  return totals
}

function checkPart(
  part: RedisPart,
  { redis }: Evidence,
  rows: ReadonlyMap<string, { lent: number; got: number }>,
  findings: Findings,
): void {
  const { shard, terms, users, nowMs } = part
  const { sale, shards, userLimit: limit } = terms
  const differs = (user: string, detail: string) =>
    findings.add('rights_differ', `sale ${sale}, shard ${shard}: ${user} ${detail}`)
  for (const [user, { purchases, holdsExpireAtMs, rights }] of users) {
    let here = baseRights({ limit, shards, shard, home: homeShard(user, shards) })
    for (const { peer, lent, got } of rights) {
      here += got - lent
      const there = redis.find((other) => other.shard === peer && other.terms.sale === sale)?.users.get(user)?.rights
      const { lent: lentThere = 0 } = there?.find((moved: MovedRights) => moved.peer === shard) ?? {}
      if (got > lentThere) differs(user, `has got ${got} from shard ${peer}, which knows of ${lentThere}`)
      const out = rows.get(moveKey(sale, user, { from: shard, to: peer })) ?? { lent: 0, got: 0 }
      const back = rows.get(moveKey(sale, user, { from: peer, to: shard })) ?? { lent: 0, got: 0 }
      if (lent !== Math.max(out.lent, out.got))
        differs(user, `has lent ${lent} to shard ${peer}, on record are ${out.lent} and ${out.got}`)
      if (got < back.got || got > Math.max(back.lent, back.got))
        differs(user, `has got ${got} from shard ${peer}, on record are ${back.got} of ${back.lent}`)
    }
    const used = purchases + holdsExpireAtMs.filter((expiresAtMs) => expiresAtMs > nowMs).length
    if (used > here) differs(user, `uses ${used} of ${here} rights`)
  }
}

function moveKey(sale: number, user: string, { from, to }: { from: number; to: number }): string {
  return `${sale} ${from}>${to} ${user}`
}
