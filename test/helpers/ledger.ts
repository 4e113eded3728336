import assert from 'node:assert/strict'

import type { Operation, Outcome } from '../../core/outcomes.ts'
import type { Postgres } from '../../core/postgres/connection.ts'
import { problemByOutcome } from '../../server/worker/http/problems.ts'
import type { HttpReply } from './http-client.ts'

/** What clients were told: every answer to a decided attempt, by the place of the decision in the log. */
export class Ledger {
  /** `<epoch>-<seq>-<n>` -> what was answered. */
  readonly decided = new Map<string, string>()
  /** Answers and failures that leave open whether there was a decision, by code, and how often each was seen. */
  readonly undecided = new Map<string, number>()
  /** Answers by what was answered. */
  readonly answers = new Map<string, number>()

  get requests(): number {
    return this.decided.size + total(this.undecided)
  }

  get undecidedCount(): number {
    return total(this.undecided)
  }

  /** Answers whether the attempt was decided. */
  answered(operation: Operation, reply: HttpReply): boolean {
    const place = reply.headers['hotcakes-decision']
    if (typeof place !== 'string') {
      assert.equal(reply.status, 503, reply.text)
      this.unanswered(String(reply.json?.['code']))
      return false
    }
    assert.ok(!this.decided.has(place), `the decision ${place} was answered twice`)
    const answer = reply.status === 200 ? accepted(operation) : String(reply.json?.['code'])
    this.decided.set(place, answer)
    count(this.answers, answer)
    return true
  }

  unanswered(code: string): void {
    count(this.undecided, code)
  }

  /**
   * That the record holds every answer, as it was given. What it holds beyond them, because their answers got lost, is
   * no more than there were attempts without an answer. Gives the rows of the record by outcome.
   */
  assertRecorded(postgres: Postgres): Map<string, number> {
    type Row = { place: string; operation: Operation; outcome: Outcome }
    const rows = postgres.query<Row>(
      `select epoch || '-' || batch || '-' || n as place, operation, outcome from attempts`,
    )
    const outcomes = new Map<string, number>()
    let answered = 0
    for (const { place, operation, outcome } of rows) {
      count(outcomes, outcome)
      const answer = this.decided.get(place)
      if (answer === undefined) continue
      answered++
      assert.equal(answer, problemByOutcome[outcome] ?? accepted(operation), `the answer to ${place}`)
    }
    assert.equal(answered, this.decided.size, 'answers on record')
    assert.ok(rows.length - answered <= this.undecidedCount, `${rows.length - answered} rows more than answers`)
    return outcomes
  }
}

function accepted(operation: Operation): string {
  return `${operation} accepted`
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, amount) => sum + amount, 0)
}
