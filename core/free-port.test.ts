import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { freePort } from './free-port.ts'

test('a free port is none that the system may give to a connection', async () => {
  const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number)
  assert.ok(first !== undefined && last !== undefined)
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()))
  for (const port of ports) assert.ok(port >= 1024 && (port < first || port > last), `${port}`)
})

test('the port that was asked for is taken while it is free, and another one otherwise', async () => {
  const preferred = await freePort()
  assert.equal(await freePort(preferred), preferred)
  const server = createServer().listen(preferred, '127.0.0.1')
  await once(server, 'listening')
  assert.notEqual(await freePort(preferred), preferred)
  server.close()
})

test('a port that fetch refuses to ask is not given', async () => {
  const refused = 10_080
  await assert.rejects(fetch(`http://127.0.0.1:${refused}`), ({ cause }: Error) => /bad port/.test(String(cause)))
  assert.notEqual(await freePort(refused), refused)
})

test('a port that a process was given is given to no other while it lives, though nobody listens yet', async () => {
  const port = await freePort()
  const asked = `import { freePort } from '${new URL('./free-port.js', import.meta.url).href}'; console.log(await freePort(${port}))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', asked])
  assert.match(stdout, /^\d+\n$/)
  assert.notEqual(Number(stdout), port)
})
