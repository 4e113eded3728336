// Brings everything up to date, then runs a compiled tool in this process.
// usage: node ops/setup/run.mjs <file below dist/> [arguments]

import './node-version.mjs'

import { join } from 'node:path'

import { importBuilt, prepare, root } from './prepare.mjs'
import { runEntry } from './progress.mjs'

await runEntry(async () => {
  const [tool, ...args] = process.argv.slice(2)
  const isHelp = args.some((argument) => argument === '--help' || argument === '-h')
  await prepare({ redis: isHelp ? 'not-needed' : 'unless-elsewhere' })
  process.argv = [process.execPath, join(root, 'dist', tool), ...args]
  await importBuilt(tool)
})
