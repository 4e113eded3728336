// Loaded before a program: lets it read a slip in its arguments first, in the same process, and says on descriptor 3 what came
// of that. Nearly all that a start costs is its modules, and both readings share them.

import { writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

class Exited extends Error {}

const { argv, stdout, stderr } = process
const exit = process.exit.bind(process)
const [node = '', entry = ''] = argv
const said = { stdout: '', stderr: '' }
const writes = { stdout: stdout.write.bind(stdout), stderr: stderr.write.bind(stderr) }

process.argv = [node, entry, '--no-such-option']
process.exit = (status) => {
  process.exitCode = status ?? 0
  throw new Exited()
}
for (const name of ['stdout', 'stderr'] as const) {
  process[name].write = (text: string | Uint8Array) => {
    said[name] += String(text)
    return true
  }
}
try {
  await import(`${pathToFileURL(entry).href}?slip`)
} catch (error) {
  if (!(error instanceof Exited)) throw error
} finally {
  Object.assign(process, { argv, exit })
  for (const name of ['stdout', 'stderr'] as const) process[name].write = writes[name]
}
writeSync(3, JSON.stringify({ status: process.exitCode, ...said }))
process.exitCode = undefined
