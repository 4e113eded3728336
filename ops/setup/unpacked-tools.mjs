// Programs that only tests and benchmarks use. Most of their Debian packages start a daemon when they are installed
// (Prometheus even on our own metrics port), so they are unpacked and not installed.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { SetupError, say } from './progress.mjs'
import { hasProgram, updatePackageLists } from './system-packages.mjs'

/** `packages`: the first of them that exists has it. `libraries`: it needs libraries that not every system has. */
const tools = {
  // Debian 13 has a package of its own for it, Debian 12 has it in the server's.
  promtool: { packages: ['promtool', 'prometheus'], path: 'usr/bin/promtool' },
  pgbouncer: { packages: ['pgbouncer'], path: 'usr/sbin/pgbouncer', libraries: true },
  nginx: { packages: ['nginx'], path: 'usr/sbin/nginx' },
  haproxy: { packages: ['haproxy'], path: 'usr/sbin/haproxy', libraries: true },
  caddy: { packages: ['caddy'], path: 'usr/bin/caddy' },
  go: { packages: ['golang-go'], path: 'usr/bin/go', libraries: true },
  wrk: { packages: ['wrk'], path: 'usr/bin/wrk', libraries: true },
}

/**
 * Makes sure that the program is on PATH.
 * @param {keyof typeof tools} name
 * @param {string} folder where it is put when the system has none
 */
export function ensureTool(name, folder) {
  // Users' PATH often lacks the folder that Debian has proxies in.
  const path = [folder, ...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin']
  process.env.PATH = [...new Set(path)].join(delimiter)
  if (hasProgram(name) || existsSync(join(folder, name))) return
  say(`fetching ${name}`)
  mkdirSync(folder, { recursive: true })
  const workspace = mkdtempSync(join(folder, `${name}-`))
  try {
    const unpacked = unpack(tools[name], workspace)
    const home = join(folder, `${name}.unpacked`)
    rmSync(home, { recursive: true, force: true })
    renameSync(unpacked, home)
    writeFileSync(join(folder, name), launcher(home, tools[name].path), { mode: 0o755 })
  } finally {
    rmSync(workspace, { recursive: true })
  }
}

/** The program's libraries are beside it. */
function launcher(home, path) {
  const libraries = existsSync(join(home, 'usr/lib'))
    ? readdirSync(join(home, 'usr/lib')).map((name) => join(home, 'usr/lib', name))
    : []
  return `#!/bin/sh\nLD_LIBRARY_PATH='${libraries.join(':')}' exec '${join(home, path)}' "$@"\n`
}

function unpack(tool, workspace) {
  const run = (command, ...args) => spawnSync(command, args, { cwd: workspace, stdio: ['ignore', 2, 2] }).status === 0
  const download = () =>
    tool.packages.some((name) => (tool.libraries ? downloadWithMissing(name) : run('apt-get', 'download', name)))
  // Into a folder of our own it takes no root and no lock.
  const downloadWithMissing = (name) => {
    mkdirSync(join(workspace, 'partial'), { recursive: true })
    const options = ['-o', 'Debug::NoLocking=1', '-o', `Dir::Cache::archives=${workspace}`]
    return run('apt-get', 'install', '-y', '--no-install-recommends', '--download-only', ...options, name)
  }
  const isDownloaded = download() || (updatePackageLists() && download())
  const files = readdirSync(workspace).filter((name) => name.endsWith('.deb'))
  const isUnpacked = files.every((file) => run('dpkg', '-x', file, 'unpacked'))
  if (isDownloaded && isUnpacked && existsSync(join(workspace, 'unpacked', tool.path)))
    return join(workspace, 'unpacked')
  const name = tool.path.split('/').at(-1)
  throw new SetupError(
    `${name} is missing and could not be fetched; install your system's package with ${name} in it (Debian: ${tool.packages.join(' or ')})`,
  )
}
