// Compiles the TypeScript sources into dist/, copies the first-class SQL, Lua and ACL files, and what pages are made of, beside
// the compiled code, and puts each of the server's programs into one file.
// Nothing is done when no source changed since the last build: a warm `npm start` must not pay for the compiler.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { runCommand } from '../../core/command-line.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const sourceFolders = ['core', 'server', 'workers', 'bench', 'examples', 'ops', 'test']
const stampName = '.fingerprint'
const assetEndings = ['.lua', '.sql', '.acl', '.html', '.css', '.browser.mjs', '.svg', '.woff2', 'license.txt']
/** Documents that the server shows: /docs/errors is made of it. */
const shownDocuments = ['docs/ERRORS.md']
/** What tools write: no part of what is compiled. */
const outputFolders = new Set(['bench/reports', 'bench/profiles'])

/** Every file below the source folders, relative to the project's root, in a stable order. */
function sourceFiles() {
  const files = []
  const walk = (folder) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (!entry.isDirectory()) files.push(path)
      else if (!outputFolders.has(path)) walk(path)
    }
  }
  for (const folder of sourceFolders) if (existsSync(join(root, folder))) walk(folder)
  return files.toSorted((a, b) => (a < b ? -1 : 1))
}

/** Changes whenever the build's result could: names, sizes and times of the sources, and the compiler's own settings. */
function fingerprint(files) {
  const hash = createHash('sha256')
  for (const file of [...files, ...shownDocuments, 'tsconfig.json', 'package-lock.json']) {
    const { size, mtimeMs } = statSync(join(root, file))
    hash.update(`${file}\0${size}\0${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

/** Removes compiled files whose source is gone: a deleted test must not go on passing. */
function removeOrphans(out, files) {
  const expected = new Set(files.map((file) => file.replace(/\.ts$/, '')))
  const walk = (folder) => {
    for (const entry of readdirSync(join(out, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (!expected.has(path.replace(/\.map$/, '').replace(/\.js$/, ''))) rmSync(join(out, path))
    }
  }
  for (const folder of sourceFolders) if (existsSync(join(out, folder))) walk(folder)
}

/** What is built: HOTCAKES_COMMIT, where git isn't there to say (an image), or nothing. */
function commitOf() {
  const { stdout } = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], {
    cwd: root,
    encoding: 'utf8',
  })
  return process.env.HOTCAKES_COMMIT || (stdout ?? '').trim()
}

function isCurrent(target, fingerprintNow) {
  const stampFile = join(target, stampName)
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === fingerprintNow
}

/** Whether dist/ is what a build would give now. */
export function isBuilt() {
  return isCurrent(join(root, 'dist'), fingerprint(sourceFiles()))
}

/**
 * @param {{ out?: string, force?: boolean }} [options] `out`: another folder than dist/, relative to the root
 * @returns {Promise<boolean>} whether anything had to be built
 */
export async function build({ out = 'dist', force = false } = {}) {
  const target = join(root, out)
  const files = sourceFiles()
  const current = fingerprint(files)
  if (!force && isCurrent(target, current)) return false

  mkdirSync(target, { recursive: true })
  rmSync(join(target, stampName), { force: true })
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const flags = ['--project', root, '--outDir', target, '--tsBuildInfoFile', join(target, '.tsbuildinfo')]
  const { status } = spawnSync(process.execPath, [tsc, ...flags], { cwd: root, stdio: ['ignore', 2, 2] })
  const assets = files.filter((file) => assetEndings.some((ending) => file.endsWith(ending)))
  for (const file of [...assets, ...shownDocuments]) {
    mkdirSync(dirname(join(target, file)), { recursive: true })
    copyFileSync(join(root, file), join(target, file))
  }
  if (status !== 0) throw new Error('the build failed: the compiler said why above')
  removeOrphans(target, files)
  const { bundle } = await import('./bundle.mjs') // what asks whether all is built may run before npm ci
  await bundle({ root, target })
  writeFileSync(join(target, 'commit'), commitOf())
  writeFileSync(join(target, stampName), current)
  return true
}

const command = {
  name: 'npm run build',
  purpose:
    'Compiles the sources and puts SQL, Lua and the parts of pages beside them. npm start and npm test do so by themselves.',
  options: {
    out: { value: 'DIR', read: String, default: 'dist', doc: 'where to' },
    force: { doc: 'also when no source has changed' },
  },
  exits: { 0: 'everything is built', 1: 'the compiler refused a file' },
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await runCommand(command, process.argv.slice(2), async (options) => {
    try {
      process.stderr.write((await build(options)) ? 'built\n' : 'nothing to build\n')
      return 0
    } catch (error) {
      process.stderr.write(`${error.message}\n`)
      return 1
    }
  })
}
