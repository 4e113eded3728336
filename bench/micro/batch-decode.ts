import { Packr } from 'msgpackr'
import { BatchReader, DecisionReader } from '../../core/decisions.ts'
import { ByteBatchReader, ByteDecisionReader } from './byte-codec.ts'
import {
  encodeBatch,
  encodeDecisions,
  nowMs,
  type SampleCommand,
  type SampleDecision,
  sampleCommands,
  sampleDecisions,
} from './sample-sale.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

/** Times that a batch is decoded for a sample. */
const repeats = 32

/** Decodes everything and hands each item over, in the fields of an object that may be a reused one. */
type Walk<Item> = (visit: (item: Item) => void) => void

type CommandFields = Pick<SampleCommand, 'sale' | 'index' | 'nonce' | 'user'>
type DecisionFields = Pick<DecisionReader, 'outcome' | 'nonce' | 'user' | 'expiresAtMs' | 'purchasedAtMs'>

function commandWalks(commands: readonly SampleCommand[]): Record<string, Walk<CommandFields>> {
  const flat = encodeBatch(commands)
  const json = Buffer.from(JSON.stringify({ version: 1, commands }))
  const recordPackr = new Packr({ structures: [] })
  const records = Buffer.from(recordPackr.pack({ version: 1, commands }))
  const byteReader = new ByteBatchReader()
  return {
    BatchReader: (visit) => {
      const reader = new BatchReader(flat)
      while (reader.next()) visit(reader)
    },
    JSON: (visit) => {
      for (const command of (JSON.parse(json.toString()) as { commands: SampleCommand[] }).commands) visit(command)
    },
    'msgpackr records': (visit) => {
      for (const command of (recordPackr.unpack(records) as { commands: SampleCommand[] }).commands) visit(command)
    },
    'flat array, byte by byte': (visit) => {
      const reader = byteReader.open(flat)
      while (reader.next()) visit(reader)
    },
  }
}

function completeDecision({ outcome, nonce = '', user = '', ms = 0 }: SampleDecision): DecisionFields {
  const isPurchase = outcome === 'purchased' || outcome === 'purchased_again'
  const expiresAtMs = ms > 0 && !isPurchase ? nowMs + ms : 0
  return { outcome, nonce, user, expiresAtMs, purchasedAtMs: isPurchase ? nowMs - ms : 0 }
}

function decisionWalks(decisions: readonly SampleDecision[]): Record<string, Walk<DecisionFields>> {
  const flat = encodeDecisions(decisions)
  const complete = decisions.map(completeDecision)
  const json = Buffer.from(JSON.stringify(complete))
  const recordPackr = new Packr({ structures: [], int64AsType: 'number' })
  const records = Buffer.from(recordPackr.pack(complete))
  const byteReader = new ByteDecisionReader()
  return {
    DecisionReader: (visit) => {
      const reader = new DecisionReader(flat)
      while (reader.next()) visit(reader)
    },
    JSON: (visit) => {
      for (const decision of JSON.parse(json.toString()) as DecisionFields[]) visit(decision)
    },
    'msgpackr records': (visit) => {
      for (const decision of recordPackr.unpack(records) as DecisionFields[]) visit(decision)
    },
    'flat array, byte by byte': (visit) => {
      const reader = byteReader.open(flat)
      while (reader.next()) visit(reader)
    },
  }
}

/** A detail that an outcome does not have is whatever a cursor had before: so only its own are compared. */
function ownDetails({ outcome, nonce, user, expiresAtMs, purchasedAtMs }: DecisionFields): unknown[] {
  switch (outcome) {
    case 'held':
    case 'item_held':
      return [outcome, expiresAtMs]
    case 'held_again':
      return [outcome, nonce, expiresAtMs]
    case 'purchased':
    case 'purchased_again':
      return [outcome, user, purchasedAtMs]
    default:
      return [outcome]
  }
}

interface WalkOptions<Item> {
  readonly size: number
  /** What a consumer does at least: it looks at the fields. */
  readonly look: (item: Item) => number
  readonly copy: (item: Item) => unknown
}

function toCandidate<Item>(name: string, walk: Walk<Item>, { size, look, copy }: WalkOptions<Item>): Candidate {
  let seen = 0
  const visit = (item: Item): void => {
    seen += look(item)
  }
  const run = () => {
    for (let n = 0; n < repeats; n++) walk(visit)
    return seen
  }
  const result = () => {
    const items: unknown[] = []
    walk((item) => items.push(copy(item)))
    return items
  }
  return { name, run, operations: repeats * size, result }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  for (const size of smoke ? [1, 8] : [1, 8, 64, 256]) {
    const commands = sampleCommands(size, { purchaseShare: 0.4 })
    const ofCommand: WalkOptions<CommandFields> = {
      size,
      look: ({ sale, index, nonce, user }) => sale + index.length + nonce.length + user.length,
      copy: ({ sale, index, nonce, user }) => [sale, index, nonce, user],
    }
    const byCommand = Object.entries(commandWalks(commands))
    yield {
      name: `${size} commands`,
      operation: 'command',
      candidates: byCommand.map(([name, walk]) => toCandidate(name, walk, ofCommand)),
    }
    const ofDecision: WalkOptions<DecisionFields> = {
      size,
      look: (one) => one.outcome.length + one.nonce.length + one.user.length + one.expiresAtMs + one.purchasedAtMs,
      copy: ownDetails,
    }
    const byDecision = Object.entries(decisionWalks(sampleDecisions(commands)))
    yield {
      name: `${size} decisions`,
      operation: 'decision',
      candidates: byDecision.map(([name, walk]) => toCandidate(name, walk, ofDecision)),
    }
  }
}

export const batchDecode: Subject = {
  name: 'batch-decode',
  about: 'bytes -> commands, bytes -> decisions: cursors over a flat msgpack array, JSON, msgpackr records; 1 to 256',
  cases,
}
