import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { freePort } from '../core/free-port.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { processTree, stillRunning } from './helpers/processes.ts'
import { temporaryFolder } from './helpers/scope.ts'

const primary = fileURLToPath(new URL('../server/primary/main.js', import.meta.url))

test('a server whose terminal is closed stops in order, with its services', async (t) => {
  const folder = temporaryFolder(t)
  const [port, metricsPort] = [await freePort(), await freePort()]
  const env = {
    PATH: process.env['PATH'] ?? '',
    APP_HOST: '127.0.0.1',
    APP_PORT: String(port),
    APP_METRICS_PORT: String(metricsPort),
    APP_DATA_DIR: join(folder, 'data'),
    APP_WORKERS: '1',
  }
  // script(1) is the terminal: when it ends, the terminal is closed.
  const terminal = spawn('script', ['-qec', `exec '${process.execPath}' '${primary}'`, '/dev/null'], {
    cwd: folder,
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  t.after(() => terminal.kill('SIGKILL'))
  const http = new HttpClient(t, { baseUrl: `http://127.0.0.1:${port}` })
  const isReady = () =>
    http.get('/readyz').then(
      ({ status }) => status === 200,
      () => false,
    )
  await eventually(isReady, { what: 'the server' })

  const [script = 0, ...server] = processTree(terminal.pid ?? 0)
  assert.ok(script > 0 && server.length >= 5, 'a primary, a worker, a persister and the services')
  process.kill(script, 'SIGKILL')
  await eventually(() => stillRunning(server).length === 0, { what: 'the end of the server' })
  assert.match(readFileSync(join(env.APP_DATA_DIR, 'redis.log'), 'utf8'), /ready to exit/)
})
