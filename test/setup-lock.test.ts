import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { temporaryFolder } from './helpers/scope.ts'

/** `npm test` starts in the project's root; set-up is not compiled. */
const module = pathToFileURL(join(process.cwd(), 'ops/setup/setup-lock.mjs')).href

/** A set-up that notes when it begins and ends its work, which takes a moment. */
async function setUp(lock: string, notes: string): Promise<string> {
  const program = `
    import { appendFileSync } from 'node:fs'
    import { setTimeout as delay } from 'node:timers/promises'
    import { underLock } from '${module}'
    await underLock('${lock}', async () => {
      appendFileSync('${notes}', 'begins ')
      await delay(100)
      appendFileSync('${notes}', 'ends ')
    })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return await text(child.stderr)
}

test('of several set-ups in one folder one works at a time, also after one that has died', async (t) => {
  const folder = temporaryFolder(t)
  const [lock, notes] = [join(folder, '.setup-lock'), join(folder, 'notes')]
  for (const stale of ['999999999 1', '', `${process.pid} 1`]) {
    writeFileSync(lock, stale)
    writeFileSync(notes, '')
    const said = await Promise.all([1, 2, 3].map(() => setUp(lock, notes)))
    assert.equal(readFileSync(notes, 'utf8'), 'begins ends '.repeat(3))
    for (const lines of said) assert.match(lines, /^(?:hotcakes: waiting for another set-up, process \d+\n)?$/)
    assert.ok(!existsSync(lock))
  }
})

test('a path that is no file that a lock can be is named, not waited for without an end', async (t) => {
  const folder = temporaryFolder(t)
  const lock = join(folder, '.setup-lock')
  symlinkSync(join(folder, 'nowhere', 'at-all'), lock)
  const said = await setUp(lock, join(folder, 'notes'))
  assert.match(said, /\.setup-lock is no file that a lock can be: remove it/)
})
