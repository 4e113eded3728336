// npm start: brings everything up to date, then becomes the primary. It runs in this very process, and package.json says
// `exec node`: npm passes SIGTERM to the shell it starts, which would end without passing it on to the server.
// Its arguments are the primary's: server/primary/main.ts reads them.

import './node-version.mjs'

import { importBuilt, prepare } from './prepare.mjs'
import { runEntry } from './progress.mjs'

await runEntry(async () => {
  // With arguments it only prints something.
  await prepare({ redis: process.argv.length > 2 ? 'not-needed' : 'unless-elsewhere' })
  await importBuilt('server/primary/main.js')
})
