// PgBouncer, for the test of poolers: Debian's package starts a daemon when it is installed.

import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { SetupError, say } from './progress.mjs'
import { hasProgram } from './system-packages.mjs'
import { unpackPackage } from './unpacked.mjs'

/** Makes sure that `pgbouncer` is on PATH. @param {string} folder where it is put when the system has none */
export function ensurePgbouncer(folder) {
  if (hasProgram('pgbouncer')) return
  const home = join(folder, 'pgbouncer')
  const program = join(home, 'pgbouncer')
  process.env.PATH = `${home}${delimiter}${process.env.PATH}`
  if (existsSync(program)) return
  say('fetching pgbouncer')
  if (!unpackPackage('pgbouncer', home)) {
    throw new SetupError("pgbouncer is missing and could not be fetched; install your system's package of it")
  }
  const libraries = readdirSync(join(home, 'usr/lib')).map((name) => join(home, 'usr/lib', name))
  const script = `#!/bin/sh\nLD_LIBRARY_PATH='${libraries.join(delimiter)}' exec '${home}/usr/sbin/pgbouncer' "$@"\n`
  writeFileSync(program, script, { mode: 0o755 })
}
