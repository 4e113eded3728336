import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { type Scope, temporaryFolder } from './helpers/scope.ts'

// Goal: whoever installs with another Node.js, or an npm that is set up for another one, gets addons that load, or the reason.

const setup = pathToFileURL(join(process.cwd(), 'ops/setup/')).href
const { versions } = process

/** Runs a few lines that import set-up's modules; gives what they printed, or the message that they threw. */
function inSetup(program: string, env: Readonly<Record<string, string>> = {}): string {
  const code = `
    import { npmSettings, assertAddonsLoad } from '${setup}addons.mjs'
    import { judgeNode } from '${setup}node-version.mjs'
    try { console.log(JSON.stringify(${program})) } catch ({ message }) { console.log(message) }`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 120_000,
  })
  return stdout.trim() || stderr
}

/** A nodedir as npm's setting names it, of some ABI. */
function headersOf(t: Scope, abi: string): string {
  const folder = temporaryFolder(t)
  const file = join(folder, 'include/node/node_version.h')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `#define NODE_MODULE_VERSION ${abi}\n`)
  return folder
}

/** The programs of other Node.js versions are some 130 MB. */
function isOurs(path: string): boolean {
  return !path.endsWith('.node') || path.endsWith(`_${process.versions.modules}.node`)
}

test('Node.js 22 is fit, 20.19 is with a notice, and what is older or newer is refused with the reason', () => {
  const judged = JSON.parse(inSetup(`['v22.23.3', 'v20.19.2', 'v20.18.0', 'v18.20.4', 'v24.21.0'].map(judgeNode)`)) as {
    refusal?: string
    notice?: string
  }[]
  assert.deepEqual(judged[0], {})
  assert.match(judged[1]?.notice ?? '', /no security fixes any more: use Node\.js 22/)
  for (const old of judged.slice(2, 4)) assert.match(old.refusal ?? '', /needs Node\.js 22/)
  assert.match(judged[4]?.refusal ?? '', /needs Node\.js 22.*a client that does not read/)
})

test('headers that npm is set up with are kept when they are those of the running Node.js', (t) => {
  const nodedir = headersOf(t, versions.modules)
  const settings = JSON.parse(inSetup(`npmSettings('/tools')`, { npm_config_nodedir: nodedir })) as object
  assert.ok(!('npm_config_nodedir' in settings))
})

test("headers of another Node.js are replaced by the running one's own, or explained when it brings none", (t) => {
  const nodedir = headersOf(t, '115000')
  const said = inSetup(`npmSettings('/tools')`, { npm_config_nodedir: nodedir })
  const own = (JSON.parse(said.startsWith('{') ? said : '{}') as Record<string, string>)['npm_config_nodedir']
  if (own !== undefined) assert.notEqual(own, nodedir)
  else assert.match(said, /nodedir=.*of ABI 115000; this is Node\.js .*npm config delete nodedir/s)
})

test("without a home folder npm gets places in the checkout, and with one it keeps the user's", (t) => {
  // Below a file, where not even root can write.
  const away = inSetup(`npmSettings('/tools')`, { npm_config_cache: join(process.cwd(), 'package.json/.npm') })
  assert.match(away, /"npm_config_cache":"\/tools\/npm","npm_config_devdir":"\/tools\/node-gyp"/)
  assert.doesNotMatch(inSetup(`npmSettings('/tools')`, { npm_config_cache: temporaryFolder(t) }), /npm_config_cache/)
})

test('addons that were installed for this Node.js load', () => {
  assert.equal(inSetup(`assertAddonsLoad(${JSON.stringify(process.cwd())}) ?? 'all load'`), '"all load"')
})

test('an addon without a program for this Node.js, or linked with another one, is explained with the fix', (t) => {
  const root = temporaryFolder(t)
  const install = (name: string, files: Readonly<Record<string, string>>) => {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, 'node_modules', name, file)), { recursive: true })
      writeFileSync(join(root, 'node_modules', name, file), text)
    }
  }
  const uws = 'node_modules/uWebSockets.js'
  const assertLoad = `assertAddonsLoad(${JSON.stringify(root)})`
  cpSync(uws, join(root, uws), { recursive: true, filter: (path) => !path.endsWith('.node') })
  assert.match(inSetup(assertLoad), /the addon uWebSockets\.js does not load in Node\.js .*: .*Error/)

  cpSync(uws, join(root, uws), { recursive: true, filter: isOurs })
  install('libpq', { 'index.js': `process.kill(process.pid, 'SIGSEGV')` })
  assert.match(inSetup(assertLoad), /the addon libpq does not load in .*: SIGSEGV/)

  install('libpq', { 'build/Release/addon.node': '\u007fELF libnode.so.1 and so on' })
  assert.match(inSetup(assertLoad), /linked it with libnode\.so\.1, which is another Node\.js.*npm@11/s)

  install('libpq', { 'index.js': `throw new Error('using NODE_MODULE_VERSION 1.')`, 'build/Release/addon.node': '' })
  assert.match(inSetup(assertLoad), /the addon libpq .*built for ABI 1\. See what `npm config get nodedir` says/)
})
