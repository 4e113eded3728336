import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from './config/load.ts'
import { portsRefusedByBrowsers } from './refused-ports.ts'

function warningsAt(port: string): readonly string[] {
  return loadConfig({ env: { APP_PORT: port } }).warnings
}

test('fetch asks none of these ports', async () => {
  for (const port of portsRefusedByBrowsers)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`), ({ cause }: Error) => {
      assert.match(String(cause), /bad port/, String(port))
      return true
    })
})

test('a server at such a port is told that no browser comes there', () => {
  assert.deepEqual(warningsAt('8080'), [])
  for (const port of ['6000', '10080']) {
    const [warning, ...others] = warningsAt(port)
    assert.match(warning ?? '', /^APP_PORT may not be what you mean: browsers and fetch refuse to ask this port/)
    assert.deepEqual(others, [])
  }
})
