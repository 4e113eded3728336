import { Packr } from 'msgpackr'
import { BatchReader } from '../../core/decisions.ts'
import { ByteWriter } from './byte-codec.ts'
import { encodeBatch, intervalMs, type SampleCommand, sampleCommands } from './sample-sale.ts'
import type { Candidate, Case, Scale, Subject } from './subject.ts'

/** Times that a batch is encoded for a sample. */
const repeats = 32

interface Encoder {
  readonly encode: (commands: readonly SampleCommand[]) => Buffer
  readonly decode: (encoded: Buffer) => SampleCommand[]
}

function readBatch(encoded: Buffer): SampleCommand[] {
  const commands: SampleCommand[] = []
  const reader = new BatchReader(encoded)
  while (reader.next()) {
    const { sale, index, nonce, user } = reader
    commands.push({ sale, index, nonce, user })
  }
  return commands
}

function encoders(): Record<string, Encoder> {
  const records = new Packr({ structures: [] })
  const maps = new Packr({ useRecords: false })
  const bytes = new ByteWriter()
  return {
    'flat array, and columns': { encode: encodeBatch, decode: readBatch },
    'msgpack, flat array': {
      encode: (commands) => {
        const flat: (number | string)[] = [1, intervalMs]
        for (const { sale, index, nonce, user } of commands) flat.push(sale, index, nonce, user)
        return maps.pack(flat)
      },
      decode: readBatch,
    },
    JSON: {
      encode: (commands) => Buffer.from(JSON.stringify({ version: 1, intervalMs, commands })),
      decode: (encoded) => (JSON.parse(encoded.toString()) as { commands: SampleCommand[] }).commands,
    },
    // cmsgpack in Redis can't read msgpackr's records; here to show what that costs.
    'msgpackr records': {
      encode: (commands) => records.pack({ version: 1, intervalMs, commands }),
      decode: (encoded) => (records.unpack(encoded) as { commands: SampleCommand[] }).commands,
    },
    'msgpack, a map each': {
      encode: (commands) => maps.pack({ version: 1, intervalMs, commands }),
      decode: (encoded) => (maps.unpack(encoded) as { commands: SampleCommand[] }).commands,
    },
    'flat array, byte by byte': { encode: (commands) => bytes.batch(commands), decode: readBatch },
  }
}

function* cases({ smoke }: Scale): Iterable<Case> {
  for (const size of smoke ? [1, 8] : [1, 8, 64, 256]) {
    // As a worker arranges them: purchases last.
    const drawn = sampleCommands(size, { purchaseShare: 0.4 })
    const commands = drawn.toSorted((a, b) => Number(a.user === '') - Number(b.user === ''))
    const candidates = Object.entries(encoders()).map(([name, { encode, decode }]): Candidate => {
      const run = () => {
        let length = 0
        for (let n = 0; n < repeats; n++) length += encode(commands).length
        return length
      }
      return {
        name,
        run,
        operations: repeats * size,
        result: () => decode(encode(commands)).map((one) => ({ ...one })),
      }
    })
    yield { name: `batch of ${size}`, operation: 'command', candidates }
  }
}

export const batchEncode: Subject = {
  name: 'batch-encode',
  about:
    'commands -> bytes for Redis: a flat msgpack array with and without the columns that the function reads, JSON, msgpackr records; batches of 1 to 256',
  cases,
}
