// `npm run export`: the assembly point. See command.ts for what it takes and answers.

import { rm } from 'node:fs/promises'
import { basename } from 'node:path'

import { runCommand, UsageError, type Values } from '../../../core/command-line.mjs'
import { type Config, loadConfig } from '../../../core/config/load.ts'
import { Interrupts } from '../../../core/interrupts.ts'
import { packageVersion } from '../../../core/package-version.ts'
import { AsyncPostgres } from '../../../core/postgres/async-postgres.ts'
import { toldColumns } from '../../../core/purchases/recorded-purchase.ts'
import { withServices } from '../../embedded/with-services.ts'
import { exportMsMax } from '../../limits.ts'
import { failureText } from '../failure-text.ts'
import { Progress } from '../progress.ts'
import { FileExists, isThere, WholeFile } from '../whole-files.ts'
import { exitStatus, exportCommand } from './command.ts'
import { type ExportFormat, headOf, linesOf } from './formats.ts'
import { type RecordedSale, readSale } from './recorded-sale.ts'

type Options = Values<typeof exportCommand.options>

interface Asked {
  readonly sale: number
  readonly format: ExportFormat
  readonly out: string
  readonly force: boolean
}

/** Somebody wants it to end. */
class Interrupted extends Error {}

// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(await runCommand(exportCommand, process.argv.slice(2), main))

async function main({ sale, format, out, force }: Options): Promise<number> {
  if (sale === undefined) throw new UsageError('--sale is needed')
  if (format === undefined) throw new UsageError('--format is needed')
  if (out === undefined) throw new UsageError('--out is needed')
  const asked = { sale, format, out, force }
  try {
    await assertFree(asked)
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    // Redis has no part in it: an embedded one must not be started for it.
    const withoutRedis = { ...config, redis: { ...config.redis, embedded: false } }
    return await withServices(withoutRedis, say, (effective) => exportSale(effective, asked))
  } catch (error) {
    return failed(error)
  }
}

function failed(error: unknown): number {
  if (error instanceof FileExists) {
    say(`${error.message} is there already: --force replaces it`)
    return exitStatus.exists
  }
  say(error instanceof Interrupted ? 'interrupted: nothing is written' : failureText(error))
  return exitStatus.failed
}

function say(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'hotcakes export: ')}\n`)
}

function filesOf({ out }: Asked) {
  return { data: out, digest: `${out}.sha256`, manifest: `${out}.manifest.json` }
}

/** Before anything is read. What comes later is refused when the file gets its name. @throws FileExists */
async function assertFree(asked: Asked): Promise<void> {
  for (const path of Object.values(filesOf(asked)))
    if (!asked.force && (await isThere(path))) throw new FileExists(path)
}

/** @returns the exit status */
async function exportSale(config: Config, asked: Asked): Promise<number> {
  const bounds = { connectionsMax: 1, deadlineMs: exportMsMax }
  const postgres = new AsyncPostgres(config.db, { applicationName: 'hotcakes export', ...bounds })
  const { data: path, digest, manifest } = filesOf(asked)
  const files: WholeFile[] = []
  let isInterrupted = false
  const interrupts = new Interrupts({
    onFirst: () => {
      isInterrupted = true
      say('ends after what is being read; once more ends it at once')
    },
    onAgain: () => process.exit(exitStatus.failed),
  })
  const create = async (name: string) => {
    const file = await WholeFile.create(name)
    files.push(file)
    return file
  }
  try {
    const data = await create(path)
    await data.write(headOf(asked.format))
    const progress = new Progress('purchases', say)
    const sale = await readSale(postgres, asked.sale, async (purchases, of) => {
      if (isInterrupted) throw new Interrupted()
      await data.write(linesOf(asked.format, purchases))
      progress.add(purchases.length, of.purchases)
    })
    if (sale === undefined) {
      say(`no sale ${asked.sale} is on record`)
      return exitStatus.saleUnknown
    }
    if (!sale.isOver) say(`the sale ${sale.sale} is not over: what is purchased from now on is not in the file`)
    const sha256 = data.digest()
    await (await create(digest)).write(`${sha256}  ${basename(path)}\n`)
    await (await create(manifest)).write(manifestOf(sale, { asked, bytes: data.bytes, sha256 }))
    // The manifest goes first and comes last: whoever finds it finds what it describes.
    if (asked.force) await rm(manifest, { force: true })
    for (const file of files) await file.finish({ replace: asked.force })
    process.stdout.write(`${path}: ${sale.purchases} purchases, ${data.bytes} bytes, sha256 ${sha256}\n`)
    return exitStatus.written
  } finally {
    interrupts.close()
    for (const file of files) await file.discard()
    await postgres.close()
  }
}

function manifestOf(
  sale: RecordedSale,
  { asked, bytes, sha256 }: { asked: Asked; bytes: number; sha256: string },
): string {
  const manifest = {
    file: basename(asked.out),
    format: asked.format,
    columns: toldColumns,
    bytes,
    sha256,
    sale_id: sale.sale,
    opens_at: sale.opensAt,
    closes_at: sale.closesAt,
    items: sale.items,
    purchases: sale.purchases,
    sale_is_over: sale.isOver,
    recorded_through: sale.through,
    record: sale.record,
    exported_at: sale.at,
    version: packageVersion(),
  }
  return `${JSON.stringify(manifest, undefined, 2)}\n`
}
