import { Packr } from 'msgpackr'
import { BatchReader, DecisionReader } from '../../core/decisions.ts'
import type { LogEntry } from '../../workers/log-reader.ts'
import { ByteBatchReader, ByteDecisionReader } from './byte-codec.ts'
import { sampleEntries } from './sample-sale.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

/** A row of one of the attempts tables, before it is text. `expiresAtMs` 0: has none. */
interface Row {
  readonly n: number
  readonly sale: number
  readonly index: string
  readonly user: string
  readonly nonce: string
  readonly outcome: string
  readonly expiresAtMs: number
}

/** Hands over each row of all entries; the object may be reused. */
type Walk = (visit: (row: Row) => void) => void

interface Cursors {
  readonly commands: Pick<BatchReader, 'next' | 'sale' | 'index' | 'nonce' | 'user'>
  readonly decisions: Pick<DecisionReader, 'next' | 'outcome' | 'nonce' | 'user' | 'expiresAtMs'>
}

/** Both cursors side by side, as the persister's RowEncoder moves them. */
function walkCursors({ commands, decisions }: Cursors, visit: (row: Row) => void): void {
  for (let n = 0; commands.next() && decisions.next(); n++) {
    const { sale, index } = commands
    const { outcome } = decisions
    const isKnown = outcome === 'purchased' || outcome === 'purchased_again'
    const hasHold = outcome === 'held' || outcome === 'held_again'
    const user = commands.user === '' && isKnown ? decisions.user : commands.user
    const nonce = outcome === 'held_again' ? decisions.nonce : commands.nonce
    visit({ n, sale, index, user, nonce, outcome, expiresAtMs: hasHold ? decisions.expiresAtMs : 0 })
  }
}

function walks(entries: readonly LogEntry[]): Record<string, Walk> {
  const encoded = entries.map(({ message, results }) => ({ message, results: results as Buffer }))
  const rows: Row[][] = encoded.map(({ message, results }) => {
    const list: Row[] = []
    walkCursors({ commands: new BatchReader(message), decisions: new DecisionReader(results) }, (row) => list.push(row))
    return list
  })
  const json = rows.map((list) => Buffer.from(JSON.stringify(list)))
  const packr = new Packr({ structures: [], int64AsType: 'number' })
  const records = rows.map((list) => Buffer.from(packr.pack(list)))
  const [commands, decisions] = [new ByteBatchReader(), new ByteDecisionReader()]
  return {
    'cursors over flat arrays': (visit) => {
      for (const { message, results } of encoded) {
        walkCursors({ commands: new BatchReader(message), decisions: new DecisionReader(results) }, visit)
      }
    },
    'JSON rows': (visit) => {
      for (const entry of json) for (const row of JSON.parse(entry.toString()) as Row[]) visit(row)
    },
    'msgpackr records': (visit) => {
      for (const entry of records) for (const row of packr.unpack(entry) as Row[]) visit(row)
    },
    'flat arrays, byte by byte': (visit) => {
      for (const { message, results } of encoded) {
        walkCursors({ commands: commands.open(message), decisions: decisions.open(results) }, visit)
      }
    },
  }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const rowCount = smoke ? 32 : 4_096
  for (const perEntry of [8, 64]) {
    const candidates = Object.entries(walks(sampleEntries(rowCount, perEntry, 0.4))).map(([name, walk]): Candidate => {
      let seen = 0
      const run = () => {
        walk((row) => {
          seen += row.sale + row.index.length + row.nonce.length + row.user.length + row.outcome.length
        })
        return seen
      }
      const result = () => {
        const rows: Row[] = []
        walk((row) => rows.push({ ...row }))
        return rows
      }
      return { name, run, operations: rowCount, result }
    })
    yield { name: `entries of ${perEntry}`, operation: 'row', candidates }
  }
}

export const eventDecode: Subject = {
  name: 'event-decode',
  about:
    'log entry -> rows: cursors over the batch and its results as they were sent, JSON or msgpackr records of rows',
  cases,
}
