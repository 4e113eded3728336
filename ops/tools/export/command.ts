import { type Command, type Options, oneOf, UsageError, wholeNumber } from '../../../core/command-line.mjs'
import { idDigitsMax } from '../../../core/ids.ts'
import { exportFormats } from './formats.ts'

export const exitStatus = { written: 0, failed: 1, saleUnknown: 3, exists: 4 } as const

export const exportCommand = {
  name: 'npm run export',
  purpose: `Writes the purchases of one sale into a file, in the order of the record: shard by shard, each in the order of its log.
    So the same record gives the same bytes. Beside the file it writes <file>.sha256, for sha256sum -c, and
    <file>.manifest.json with counts, the place in each log up to which Postgres had everything, format and time. Each of the
    three is there whole or not at all, and the manifest comes last. It may run beside a server that sells: what is written is
    one moment of Postgres.

    The settings are the server's: environment and .env, see npm start -- --help. It needs Postgres alone, and only reads.`,
  options: {
    sale: { value: 'N', read: wholeNumber({ max: 10 ** idDigitsMax - 1 }), doc: 'the number of the sale; needed' },
    format: {
      value: 'FORMAT',
      read: oneOf(exportFormats),
      doc: `${exportFormats.join(' or ')}; needed. CSV has a line of names first, quotes where RFC 4180 wants them, and ends lines with a line feed`,
    },
    out: { value: 'FILE', read: filePath, doc: 'where to; its folder must be there; needed' },
    force: { doc: 'replace files that are there already' },
  },
  notes: `There is no Parquet: no library that writes it is small enough to be carried along. DuckDB makes it of either format:
duckdb -c "copy (from 'sale.csv') to 'sale.parquet'"`,
  exits: {
    0: 'written',
    1: 'not written: wrong settings, Postgres or the disk says why; or it was interrupted',
    2: 'wrong arguments',
    3: 'not written: no such sale is on record',
    4: 'not written: one of the files is there already',
  },
} satisfies Command<Options>

function filePath(text: string): string {
  if (text === '' || text.endsWith('/') || text.includes('\0')) throw new UsageError('must be the name of a file')
  return text
}
