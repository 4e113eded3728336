// Prometheus' promtool, for the tests of the rules and of the metrics. Debian has it in the package of the server, which
// starts a daemon on our own metrics port when it is installed.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

import { SetupError, say } from './progress.mjs'
import { hasProgram } from './system-packages.mjs'
import { unpackPackage } from './unpacked.mjs'

/** Makes sure that `promtool` is on PATH. @param {string} folder where it is put when the system has none */
export function ensurePromtool(folder) {
  if (hasProgram('promtool')) return
  process.env.PATH = `${folder}${delimiter}${process.env.PATH}`
  const program = join(folder, 'promtool')
  if (existsSync(program)) return
  say('fetching promtool')
  const unpacked = mkdtempSync(join(tmpdir(), 'promtool-'))
  try {
    if (!unpackPackage('prometheus', unpacked)) {
      throw new SetupError(
        "promtool is missing and could not be fetched; install your system's package with promtool in it (Debian: prometheus)",
      )
    }
    mkdirSync(folder, { recursive: true })
    copyFileSync(join(unpacked, 'usr/bin/promtool'), program)
  } finally {
    rmSync(unpacked, { recursive: true })
  }
}
