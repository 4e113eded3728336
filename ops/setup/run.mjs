// Brings everything up to date, then runs a compiled tool in this process.
// usage: node ops/setup/run.mjs <file below dist/> [arguments]

import './node-version.mjs'

import { join } from 'node:path'

import { importBuilt, prepare, root } from './prepare.mjs'
import { runEntry } from './progress.mjs'
import { ensureTool } from './unpacked-tools.mjs'
import { wrkBenchmarks } from './wrk-benchmarks.mjs'

const loadsWithWrk = (tool) => wrkBenchmarks.some((folder) => tool === `bench/${folder}/main.js`)

await runEntry(async () => {
  const [tool, ...args] = process.argv.slice(2)
  const isHelp = args.some((argument) => argument === '--help' || argument === '-h')
  await prepare({ redis: isHelp ? 'not-needed' : 'unless-elsewhere' })
  if (!isHelp && loadsWithWrk(tool)) ensureTool('wrk', join(root, '.tools'))
  process.argv = [process.execPath, join(root, 'dist', tool), ...args]
  await importBuilt(tool)
})
