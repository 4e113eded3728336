// Programs of Debian packages that start a daemon when they are installed: unpacked for the tests, and not installed.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { updatePackageLists } from './system-packages.mjs'

/** Unpacks a package, and the libraries it needs that the system lacks, into `folder`. Answers whether it could. */
export function unpackPackage(name, folder) {
  const workspace = mkdtempSync(join(tmpdir(), 'hotcakes-package-'))
  const run = (command, ...args) =>
    spawnSync(command, args, { cwd: workspace, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] })
  const succeeds = (...command) => run(...command).status === 0
  const download = (...names) => succeeds('apt-get', 'download', ...names)
  const packages = () => readdirSync(workspace).filter((file) => file.endsWith('.deb'))
  try {
    if (!download(name) && !(updatePackageLists() && download(name))) return false
    const libraries = run('dpkg-deb', '-f', ...packages(), 'Depends').stdout.match(/\blib(?!js-)[a-z0-9.+-]+/g) ?? []
    const lacking = libraries.filter((library) => !isInstalled(library))
    if (lacking.length > 0 && !download(...lacking)) return false
    if (!packages().every((file) => succeeds('dpkg', '-x', file, 'unpacked'))) return false
    cpSync(join(workspace, 'unpacked'), folder, { recursive: true, verbatimSymlinks: true })
    return true
  } finally {
    rmSync(workspace, { recursive: true })
  }
}

function isInstalled(library) {
  return spawnSync('dpkg-query', ['-W', library], { stdio: 'ignore' }).status === 0
}
