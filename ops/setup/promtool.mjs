// Prometheus' promtool, for the tests of the rules and of the metrics. Debian has it in the package of the server, which
// starts a daemon on our own metrics port when it is installed; so the package is unpacked and not installed.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

import { SetupError, say } from './progress.mjs'
import { hasProgram, updatePackageLists } from './system-packages.mjs'

/** Makes sure that `promtool` is on PATH. @param {string} folder where it is put when the system has none */
export function ensurePromtool(folder) {
  if (hasProgram('promtool')) return
  process.env.PATH = `${folder}${delimiter}${process.env.PATH}`
  const program = join(folder, 'promtool')
  if (existsSync(program)) return
  say('fetching promtool')
  const workspace = mkdtempSync(join(tmpdir(), 'promtool-'))
  try {
    unpack(workspace)
    mkdirSync(folder, { recursive: true })
    copyFileSync(join(workspace, 'unpacked/usr/bin/promtool'), program)
  } finally {
    rmSync(workspace, { recursive: true })
  }
}

function unpack(workspace) {
  const run = (command, ...args) => spawnSync(command, args, { cwd: workspace, stdio: ['ignore', 2, 2] }).status === 0
  const download = () => run('apt-get', 'download', 'prometheus')
  const downloaded = download() || (updatePackageLists() && download())
  const file = downloaded ? readdirSync(workspace).find((name) => name.endsWith('.deb')) : undefined
  if (file !== undefined && run('dpkg', '-x', file, 'unpacked')) return
  throw new SetupError(
    "promtool is missing and could not be fetched; install your system's package with promtool in it (Debian: prometheus)",
  )
}
