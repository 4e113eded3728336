// The system's packages: a compiler and libpq's headers for building pg-native's addon, a Redis to run, and what tests use.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { SetupError, say } from './progress.mjs'

/** Redis programs may be installed where only administrators' PATH looks. */
const programFolders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/bin', '/usr/bin', '/usr/sbin']

export function hasProgram(name) {
  return programFolders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false // not here
    }
  })
}

function hasLibpqHeaders() {
  const { status, stdout } = spawnSync('pg_config', ['--includedir'], { encoding: 'utf8' })
  return status === 0 && existsSync(join(stdout.trim(), 'libpq-fe.h'))
}

/** Program -> Debian package. */
const testTools = {
  chromium: 'chromium',
  curl: 'curl',
  openssl: 'openssl',
  psql: 'postgresql-client',
  python3: 'python3',
  'redis-cli': 'redis-tools',
}

function missingPackages({ build, redis, tests }) {
  const missing = []
  if (build) {
    if (!hasLibpqHeaders()) missing.push('libpq-dev')
    if (!hasProgram('g++')) missing.push('g++')
    if (!hasProgram('make')) missing.push('make')
    if (!hasProgram('python3')) missing.push('python3')
  }
  if (redis && !hasProgram('redis-server') && !hasProgram('valkey-server')) missing.push('redis-server')
  if (tests) for (const [program, name] of Object.entries(testTools)) if (!hasProgram(program)) missing.push(name)
  return missing
}

/** What stands before a command that needs root; `undefined` when we may not. */
function rootPrefix() {
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined
}

/** The package manager's output goes to stderr, like all progress. Its input is closed, so that it asks nothing. */
function run(prefix, args) {
  const command = [
    ...prefix,
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-o',
    'DPkg::Lock::Timeout=120',
    ...args,
  ]
  return spawnSync(command[0], command.slice(1), { stdio: ['ignore', 2, 2] }).status === 0
}

/** Updates the package lists, which takes root. Returns whether it worked. */
export function updatePackageLists() {
  const prefix = rootPrefix()
  return prefix !== undefined && run(prefix, ['update'])
}

const install = ['install', '-y', '--no-install-recommends']

function adviceFor(packages) {
  const purpose = packages.includes('redis-server')
    ? ' (for Redis, valkey-server or setting REDIS_HOST will do as well)'
    : ''
  if (!hasProgram('apt-get')) return `install the equivalent of these Debian packages: ${packages.join(' ')}${purpose}`
  const command = `apt-get update && sudo apt-get ${install.join(' ')} ${packages.join(' ')}`
  return `run this, then try again${purpose}:\n\n  sudo ${command}\n`
}

/**
 * Makes sure of the packages that are needed, by the system's package manager when we may use it.
 * Debian's redis-server also starts a service on port 6379; ours is another process on a port of its own.
 * @param {{ build: boolean, redis: boolean, tests: boolean }} wanted what is to be done: building addons, running a Redis,
 *   running the tests
 */
export function ensureSystemPackages(wanted) {
  const missing = missingPackages(wanted)
  if (missing.length === 0) return
  const prefix = hasProgram('apt-get') ? rootPrefix() : undefined
  if (prefix === undefined) {
    throw new SetupError(
      `system packages are missing (${missing.join(', ')}) and cannot be installed from here; ${adviceFor(missing)}`,
    )
  }
  say(`installing system packages: ${missing.join(' ')}`)
  run(prefix, ['update'])
  const installed =
    run(prefix, [...install, ...missing]) ||
    run(prefix, [...install, ...missing.map((name) => (name === 'redis-server' ? 'valkey-server' : name))])
  const left = missingPackages(wanted)
  if (!installed || left.length > 0) {
    throw new SetupError(
      `the package manager did not install ${missing.join(', ')}; ${adviceFor(left.length > 0 ? left : missing)}`,
    )
  }
}
