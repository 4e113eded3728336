import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { temporaryFolder } from './helpers/scope.ts'

// A checkout whose uWebSockets.js has no program for this Node.js, as it is after a change of the Node.js or of the machine.
test('a uWebSockets.js that does not load is a fault at its first use that says for what there is no program', (t) => {
  const folder = temporaryFolder(t)
  cpSync('package.json', join(folder, 'package.json'))
  for (const file of ['server/worker/http/uws.js', 'core/faults.js'])
    cpSync(join('dist', file), join(folder, 'dist', file))
  const addon = 'node_modules/uWebSockets.js'
  cpSync(addon, join(folder, addon), { recursive: true, filter: (path) => !path.endsWith('.node') })
  const program = `
    const { App } = await import('./dist/server/worker/http/uws.js')
    try { App() } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: folder,
    encoding: 'utf8',
  })
  const { code, message } = JSON.parse(stdout) as { code: string; message: string }
  assert.equal(code, 'HC_ADDON')
  assert.match(message, new RegExp(`Node\\.js ${process.version} \\(ABI ${process.versions.modules}\\) on linux`))
  assert.match(message, /glibc \d+\.\d+; use Node\.js 22 \(.*Cannot find module/)
})
