// npm start: brings everything up to date, then becomes the primary. It runs in this very process, and package.json says
// `exec node`: npm passes SIGTERM to the shell it starts, which would end without passing it on to the server.
// usage: npm start [-- --help | --env-example]

import './node-version.mjs'

import { importBuilt, prepare } from './prepare.mjs'
import { runEntry, SetupError } from './progress.mjs'

async function main() {
  const [argument, ...others] = process.argv.slice(2)
  if (argument === undefined) {
    await prepare({ redis: 'unless-elsewhere' })
    await importBuilt('server/primary/main.js')
    return
  }
  if (!['--help', '-h', '--env-example'].includes(argument) || others.length > 0) {
    throw new SetupError(`unknown argument ${[argument, ...others].join(' ')}; npm start -- --help lists every setting`)
  }
  await prepare({ redis: 'not-needed' })
  const { envExample, helpText } = await importBuilt('server/primary/describe.js')
  process.stdout.write(argument === '--env-example' ? envExample() : helpText())
}

await runEntry(main)
