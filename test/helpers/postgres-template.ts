import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { postgresLauncher } from '../../ops/embedded/launcher.ts'
import {
  findPrograms,
  type PostgresPasswords,
  runSingleUser,
  startPostgresService,
} from '../../ops/embedded/postgres.ts'
import { newPassword, waiting } from './embedded-options.ts'

/**
 * Where `npm test` has the data of an empty embedded PostgreSQL made once, for all test files: to set one up takes a second
 * and a half of CPU, and a run of all tests has some 130. Without it each test sets up its own.
 */
const templateVariable = 'HOTCAKES_TEST_TEMPLATE'

const passwordsFile = 'passwords.json'
/** Not the blocking kind: what the nodes of a cluster say to each other, and what goes through proxies, comes through here. */
const run = promisify(execFile)

/** Data that a PostgreSQL can be started on, with the passwords in them. Of databases there are `hotcakes` and `template1`. */
export interface PostgresTemplate {
  readonly passwords: PostgresPasswords
  /** Into a folder that has none yet. */
  copyTo(dataDir: string): Promise<void>
}

export function newPasswords(): PostgresPasswords {
  return { service: newPassword(), owner: newPassword() }
}

/** undefined: nobody has said where it would be. */
export async function postgresTemplate(): Promise<PostgresTemplate | undefined> {
  const parent = process.env[templateVariable]
  if (parent === undefined) return undefined
  const folder = join(parent, 'postgres-template')
  if (!existsSync(folder)) await make(folder)
  const passwords = JSON.parse(readFileSync(join(folder, passwordsFile), 'utf8')) as PostgresPasswords
  return {
    passwords,
    // With its owner, who is not root, and its modes, which PostgreSQL insists on.
    copyTo: async (dataDir) => void (await run('cp', ['-a', join(folder, 'postgres'), dataDir])),
  }
}

/** Two of its four databases, which are half of its 1,200 files: to copy those is most of what a copy costs. */
async function dropWhatNobodyUses(dataDir: string): Promise<void> {
  const { postgres } = await findPrograms()
  const launcher = postgresLauncher({ program: postgres, dataDir })
  const statements = [
    'DROP DATABASE postgres',
    "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'",
    'DROP DATABASE template0',
  ]
  const { signal } = waiting
  await runSingleUser({
    launcher,
    postgres,
    folder: join(dataDir, 'postgres'),
    statements,
    database: 'hotcakes',
    signal,
  })
}

/** Files that begin at a time each make one, and the first that is ready counts. */
async function make(folder: string): Promise<void> {
  const draft = mkdtempSync(`${folder}-`)
  const passwords = newPasswords()
  const options = { dataDir: draft, passwords, passwordsAreNew: false, durable: false, waiting }
  const { service } = await startPostgresService({ ...options, onLaunch: () => undefined })
  await service.stop()
  await dropWhatNobodyUses(draft)
  writeFileSync(join(draft, passwordsFile), JSON.stringify(passwords))
  try {
    renameSync(draft, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
    rmSync(draft, { recursive: true })
  }
}
