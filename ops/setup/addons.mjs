// The packages with native programs: compiled against the running Node.js' own headers, and loaded once after they were
// installed. A mismatch would otherwise show as a crash of a worker, or only at its end.

import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { SetupError } from './progress.mjs'

const addons = ['uWebSockets.js', 'libpq', 'msgpackr-extract']
/** Far more than loading, or an answer of npm, takes on a busy machine. */
const loadMsMax = 60_000
const askMsMax = 60_000

/** The ABI of the headers below a `nodedir`, which is an installation or a source tree; `undefined` without headers. */
function abiOfHeaders(nodedir) {
  for (const folder of ['include/node', 'src']) {
    try {
      const text = readFileSync(join(nodedir, folder, 'node_version.h'), 'utf8')
      return /define NODE_MODULE_VERSION (\d+)/.exec(text)?.[1]
    } catch {
      // Not this kind of folder.
    }
  }
  return undefined
}

/** Headers of the running Node.js: beside it, or where the registry's package `node` has them. */
function ownHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)))
  const packageName = `node-${process.platform}-${process.arch}`
  const folders = [prefix, join(prefix, 'node_modules', packageName), join(prefix, '..', packageName)]
  return folders.find((folder) => abiOfHeaders(folder) === process.versions.modules)
}

function npmConfig(name) {
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: askMsMax }
  const { status, stdout } = spawnSync('npm', ['config', 'get', name], options)
  const value = stdout?.trim()
  return status !== 0 || value === '' || value === 'undefined' || value === 'null' ? undefined : value
}

function canBeWritten(path) {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch (error) {
    return error.code === 'ENOENT' && dirname(path) !== path && canBeWritten(dirname(path))
  }
}

/**
 * What npm needs to install for this very Node.js and user: the headers, and, for a user without a home folder, a place for
 * what it fetches.
 * @param {string} toolsFolder a folder of the checkout's own
 * @returns {Record<string, string>} for npm's environment
 */
export function npmSettings(toolsFolder) {
  const settings = {}
  const cache = npmConfig('cache')
  if (cache === undefined || !canBeWritten(cache)) {
    settings.npm_config_cache = join(toolsFolder, 'npm')
    settings.npm_config_devdir = join(toolsFolder, 'node-gyp')
  }
  const nodedir = npmConfig('nodedir')
  if (nodedir !== undefined && abiOfHeaders(nodedir) === process.versions.modules) return settings
  const headers = ownHeaders()
  if (headers !== undefined) settings.npm_config_nodedir = headers
  else if (nodedir !== undefined) {
    throw new SetupError(
      `npm is configured with nodedir=${nodedir}, whose headers are ${headersName(nodedir)}; this is ${nodeName()}, and an ` +
        'addon that is compiled against the others does not load in it. Run this, then try again ' +
        `(node-gyp then fetches the right ones):\n\n  npm config delete nodedir; unset npm_config_nodedir\n`,
    )
  }
  return settings
}

function headersName(nodedir) {
  const abi = abiOfHeaders(nodedir)
  return abi === undefined ? 'missing' : `of ABI ${abi}`
}

const nodeName = () => `Node.js ${process.version} (ABI ${process.versions.modules})`

/** Each in a process of its own, to its orderly end: one that is linked with another Node.js crashes only there. */
export function assertAddonsLoad(root) {
  for (const name of addons) {
    const program = `await import(${JSON.stringify(name)})`
    const { status, signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: root,
      encoding: 'utf8',
      timeout: loadMsMax,
    })
    if (status !== 0) throw new SetupError(mismatch(root, name, signal, stderr))
  }
}

function mismatch(root, name, signal, stderr) {
  const failed = `the addon ${name} does not load in ${nodeName()}`
  const foreign = name === 'libpq' ? libnodeOf(join(root, 'node_modules/libpq/build/Release/addon.node')) : undefined
  if (foreign !== undefined) {
    return (
      `${failed}: the node-gyp of this npm linked it with ${foreign}, which is another Node.js (Debian's does so). Use an npm ` +
      "that is not the distribution's, then try again:\n\n  npm install --prefix ~/npm npm@11 && export PATH=~/npm/node_modules/.bin:$PATH\n"
    )
  }
  const abi = /NODE_MODULE_VERSION (\d+)/.exec(stderr)?.[1]
  if (abi !== undefined) {
    return `${failed}: it was built for ABI ${abi}. See what \`npm config get nodedir\` says, correct it, then try again`
  }
  const reason = signal ?? stderr.split('\n').find((line) => line.includes('Error:')) ?? stderr.trim()
  return `${failed}: ${reason}`
}

/** The shared library of a Node.js that a program is linked with, other than the running one's. */
function libnodeOf(program) {
  try {
    const name = /libnode\.so\.\d+/.exec(readFileSync(program, 'latin1'))?.[0]
    return name?.endsWith(`.${process.versions.modules}`) === true ? undefined : name
  } catch {
    return undefined // not built
  }
}
