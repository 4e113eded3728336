// Brings everything up to date, then runs a compiled tool in this process.
// usage: node ops/setup/run.mjs <file below dist/> [arguments]

import './node-version.mjs'

import { join } from 'node:path'

import { importBuilt, prepare, root } from './prepare.mjs'
import { runEntry } from './progress.mjs'
import { ensureTool } from './unpacked-tools.mjs'

/** Tool -> programs that it runs besides those that are installed for all. */
const toolsOf = { 'bench/floor/main.js': ['wrk'], 'bench/growth/main.js': ['wrk'] }

await runEntry(async () => {
  const [tool, ...args] = process.argv.slice(2)
  const isHelp = args.some((argument) => argument === '--help' || argument === '-h')
  await prepare({ redis: isHelp ? 'not-needed' : 'unless-elsewhere' })
  if (!isHelp) for (const name of toolsOf[tool] ?? []) ensureTool(name, join(root, '.tools'))
  process.argv = [process.execPath, join(root, 'dist', tool), ...args]
  await importBuilt(tool)
})
