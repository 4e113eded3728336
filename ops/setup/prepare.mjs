// Brings a checkout, however fresh, to where its compiled code can run. What is current is left alone: a warm start
// pays for one digest and the file times.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { assertAddonsLoad, npmSettings } from './addons.mjs'
import { build, isBuilt } from './build.mjs'
import { SetupError, say } from './progress.mjs'
import { underLock } from './setup-lock.mjs'
import { ensureSystemPackages } from './system-packages.mjs'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

const stampFile = join(root, 'node_modules/.hotcakes-stamp')

/** Addons are built for one ABI, and some packages bring programs for one platform: all of that is part of the stamp. */
function packagesFingerprint() {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  return hash.update(`${process.versions.modules} ${process.platform} ${process.arch}`).digest('hex')
}

function packagesAreCurrent() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === packagesFingerprint()
}

function installPackages() {
  say('installing npm packages')
  rmSync(stampFile, { force: true })
  // An older npm draws its progress also where nobody can see it.
  const progress = process.stderr.isTTY ? '--progress=true' : '--progress=false'
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', progress], {
    cwd: root,
    env: { ...process.env, ...npmSettings(join(root, '.tools')) },
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0)
    throw new SetupError(`npm ci failed${error === undefined ? '' : ` (${error.message})`}: it said why above`)
  assertAddonsLoad(root)
  writeFileSync(stampFile, packagesFingerprint())
}

const dotenvFile = join(process.cwd(), '.env')

const namesRedis = (settings) => ['REDIS_HOST', 'REDIS_CLUSTER'].some((name) => (settings[name] ?? '') !== '')

function environmentNamesRedis() {
  return namesRedis(process.env)
}

async function dotenvNamesRedis() {
  const { readDotenv } = await import('../../core/config/dotenv-file.mjs')
  try {
    return namesRedis(readDotenv(dotenvFile))
  } catch {
    return true // what is started reads it again, and says what is wrong with the code and the status that it has for that
  }
}

/**
 * @param {{ redis: 'needed' | 'unless-elsewhere' | 'not-needed', compile?: boolean, tests?: boolean }} options `redis`: whether
 *   one is going to be run here (`unless-elsewhere`: REDIS_HOST decides); `compile: false` stops after the packages;
 *   `tests`: what only tests use is needed as well
 */
export async function prepare({ redis, compile = true, tests = false }) {
  const mayBeElsewhere = redis === 'unless-elsewhere' && existsSync(dotenvFile)
  const needsRedis = redis === 'needed' || (redis === 'unless-elsewhere' && !environmentNamesRedis())
  // One installation for all, but for a .env in a fresh checkout: nothing can read it before the packages are there.
  ensureSystemPackages({ build: !packagesAreCurrent(), redis: needsRedis && !mayBeElsewhere, tests })
  await installAndBuild(compile)
  if (needsRedis && mayBeElsewhere && !(await dotenvNamesRedis())) {
    ensureSystemPackages({ build: false, redis: true, tests: false })
  }
}

async function installAndBuild(compile) {
  const isReady = () => packagesAreCurrent() && (!compile || isBuilt())
  if (isReady()) return
  await underLock(join(root, '.setup-lock'), async () => {
    if (!packagesAreCurrent()) installPackages()
    if (isReady()) return
    say('building')
    try {
      await build()
    } catch (error) {
      throw new SetupError(error.message)
    }
  })
}

/** Imports a compiled module by its path below dist/. */
export function importBuilt(path) {
  return import(pathToFileURL(join(root, 'dist', path)).href)
}
