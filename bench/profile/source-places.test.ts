import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { inSources } from './source-places.ts'

const program = fileURLToPath(new URL('../../server/worker/main.js', import.meta.url))

function profileOf(url: string, lineNumber: number, columnNumber: number) {
  const callFrame = { functionName: 'offerAgain', url, lineNumber, columnNumber }
  return { startTime: 0, nodes: [{ id: 1, callFrame }], samples: [], timeDeltas: [] }
}

test('a function of a program is shown where it stands in the sources, whatever else is as it was', () => {
  const compiled = readFileSync(program, 'utf8').split('\n')
  const line = compiled.findIndex((text) => text.includes('  offerAgain(command) {'))
  const column = compiled[line]?.indexOf('offerAgain') ?? assert.fail('the program has no such function')
  const [found = assert.fail()] = inSources(profileOf(pathToFileURL(program).href, line, column)).nodes
  const { functionName, url, lineNumber } = found.callFrame
  assert.equal(functionName, 'offerAgain')
  assert.ok(url.endsWith('/server/worker/selling/batcher.ts'), url)
  const source = readFileSync(fileURLToPath(url), 'utf8').split('\n')
  assert.match(source[lineNumber] ?? '', /^ {2}offerAgain\(command/)

  for (const elsewhere of ['', 'node:fs', import.meta.url.replace(/source-places.*/, 'no-such-file.js')]) {
    const profile = profileOf(elsewhere, 3, 1)
    assert.deepEqual(inSources(profile), profile)
  }
})
