import { runCommand, UsageError, type Values } from '../../../core/command-line.mjs'
import { type Config, loadConfig } from '../../../core/config/load.ts'
import { Interrupts } from '../../../core/interrupts.ts'
import { connectPostgres } from '../../../core/postgres/connection.ts'
import { asOwner } from '../../../core/postgres/owner.ts'
import { withServices } from '../../embedded/with-services.ts'
import { retireStatementTimeoutMs } from '../../limits.ts'
import { failureText } from '../failure-text.ts'
import { exitStatus, retireCommand } from './command.ts'
import { ArchiveProblem, DayNeeded, DayUnsound, Interrupted } from './refusals.ts'
import { type Asked, retire } from './retire.ts'
import type { StepHook } from './steps.ts'
import { verifyArchives } from './verify.ts'

type Options = Values<typeof retireCommand.options>

/** @returns the exit status */
export function runRetire(args: readonly string[], reached: StepHook): Promise<number> {
  return runCommand(retireCommand, args, (options) => run(options, reached))
}

async function run(options: Options, reached: StepHook): Promise<number> {
  const asked = readAsked(options)
  try {
    if ('verify' in asked) return await verified(asked.verify)
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    return await withServices(config, say, (effective) => retireDays(effective, asked, reached))
  } catch (error) {
    return failed(error)
  }
}

/** @throws UsageError */
function readAsked({ before, archive, drop, dryRun, verify }: Options): Asked | { readonly verify: string } {
  if (verify !== undefined) {
    if (before !== undefined || archive !== undefined || drop || dryRun) {
      throw new UsageError('--verify goes with no other option')
    }
    return { verify }
  }
  if (before === undefined) throw new UsageError('--before is needed')
  if (archive !== undefined && drop) throw new UsageError('--archive and --drop exclude each other')
  if (archive === undefined && !drop && !dryRun) {
    throw new UsageError('--archive DIR is needed; or --drop, after which nobody has the rows any more')
  }
  return { beforeMs: before, archive, isDry: dryRun }
}

async function retireDays(config: Config, asked: Asked, reached: StepHook): Promise<number> {
  const postgres = connectPostgres(asOwner(config.db), {
    applicationName: 'hotcakes retire',
    statementTimeoutMs: retireStatementTimeoutMs,
  })
  let isInterrupted = false
  const interrupts = new Interrupts({
    onFirst: () => {
      isInterrupted = true
      say('ends after what Postgres is at; once more ends it at once')
    },
    onAgain: () => process.exit(exitStatus.failed),
  })
  try {
    await retire(asked, {
      postgres,
      redis: config.redis,
      say,
      tell: (text) => process.stdout.write(`${text}\n`),
      assertWanted: () => {
        if (isInterrupted) throw new Interrupted()
      },
      reached,
    })
    return exitStatus.done
  } finally {
    interrupts.close()
    postgres.close()
  }
}

async function verified(folder: string): Promise<number> {
  const { archives, damaged } = await verifyArchives(folder, (text) => process.stdout.write(`${text}\n`))
  if (archives === 0 && damaged === 0) throw new ArchiveProblem('there is no manifest of an archive in the folder')
  return damaged === 0 ? exitStatus.done : exitStatus.archive
}

function failed(error: unknown): number {
  if (error instanceof Interrupted) {
    say('interrupted: the day that it was at is as it was')
    return exitStatus.failed
  }
  for (const [kind, status] of refusals) {
    if (!(error instanceof kind)) continue
    say(error.message)
    return status
  }
  say(failureText(error))
  return exitStatus.failed
}

const refusals = [
  [DayNeeded, exitStatus.needed],
  [DayUnsound, exitStatus.unsound],
  [ArchiveProblem, exitStatus.archive],
] as const

function say(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'hotcakes retire: ')}\n`)
}
