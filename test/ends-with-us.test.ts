// What a test file has started ends when the file does, even if it is killed: nothing of it would tell a server to stop.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

import { endsWithUs } from './helpers/ends-with-us.ts'
import { eventually } from './helpers/eventually.ts'

const helper = new URL('./helpers/ends-with-us.js', import.meta.url).href

test('a program ends with the process that started it, however that ends', async (t) => {
  const script = `
    import { spawn } from 'node:child_process'
    import { endsWithUs } from '${helper}'
    const { pid } = spawn(...endsWithUs('KILL', 'sleep', ['600']), { stdio: 'ignore', detached: true })
    console.log(pid)
    setInterval(() => undefined, 1_000)`
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script])
  t.after(() => parent.kill('SIGKILL'))
  const [said] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(said)
  t.after(() => existsSync(`/proc/${pid}`) && process.kill(pid, 'SIGKILL'))
  // Until it runs itself, the command around it may not have asked the kernel for the signal.
  const isRunning = () => readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('sleep\0')
  await eventually(isRunning, { what: 'the program' })
  parent.kill('SIGKILL')
  await eventually(() => !existsSync(`/proc/${pid}`), { what: 'it has ended' })
})

test('it is told what a command is told, and its end is its own', async () => {
  const child = spawn(...endsWithUs('TERM', 'sh', ['-c', 'echo "$0 $1"; exit 3', 'one', 'two words']))
  const [[said], [code]] = (await Promise.all([once(child.stdout, 'data'), once(child, 'close')])) as [
    [Buffer],
    [number],
  ]
  assert.deepEqual([String(said), code], ['one two words\n', 3])
})
