// The server's entry: run by `npm start` after the build, or directly. It is the primary's assembly point and, for that
// alone, the one file of server/ that may import from ops/: the embedded services live there.
// usage: node dist/server/primary/main.js [--help | --env-example]        exit statuses: see shutdown.ts

import { fileURLToPath } from 'node:url'
import { runCommand, type Values } from '../../core/command-line.mjs'
import { type Config, loadConfig, redacted } from '../../core/config/load.ts'
import { Fault } from '../../core/faults.ts'
import { createLog } from '../../core/log.ts'
import { packageVersion } from '../../core/package-version.ts'
import { startEmbedded } from '../../ops/embedded/embedded.ts'
import { envExample, startCommand } from './describe.ts'
import { startPrimary } from './primary.ts'
import type { RollingReload } from './rolling-reload.ts'
import { exitStatus, Shutdown } from './shutdown.ts'
import { hasTerminal } from './terminal.ts'

process.exit(await runCommand(startCommand, process.argv.slice(2), main))

async function main(asked: Values<typeof startCommand.options>): Promise<number> {
  if (asked.envExample) {
    process.stdout.write(envExample())
    return exitStatus.ok
  }
  let config: Config
  try {
    config = readConfig()
  } catch (error) {
    if (error instanceof Fault) return refuse(error.message)
    throw error
  }

  const log = createLog({ level: config.log.level, process: 'primary' })
  log.debug(redacted(config), 'the settings')
  const shutdown = new Shutdown({ log, deadlineMs: config.app.shutdownSeconds * 1_000 })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => shutdown.onSignal(signal))
  let reload: RollingReload | undefined
  let isReloadWanted = false
  const beganInTerminal = hasTerminal()
  process.on('SIGHUP', () => {
    if (beganInTerminal && !hasTerminal()) shutdown.onSignal('SIGHUP')
    else if (reload === undefined) isReloadWanted = true
    else reload.request()
  })
  process.on('uncaughtException', (error) => shutdown.onFault(error))

  const start = async () => {
    reload = await startPrimary({
      config,
      log,
      version: packageVersion(),
      shutdown,
      executables: {
        http: fileURLToPath(new URL('../worker/main.js', import.meta.url)),
        persister: fileURLToPath(new URL('../../workers/persister-main.js', import.meta.url)),
      },
      schemaFolder: new URL('../../core/postgres/schema/', import.meta.url),
      startServices: ({ app, db, redis }) =>
        startEmbedded({
          dataDir: app.dataDir,
          postgres: db.embedded,
          redis: redis.embedded,
          shards: app.shards,
          log,
          signal: shutdown.signal,
        }),
      readConfig,
    })
    if (isReloadWanted) reload.request()
  }
  return await shutdown.run(start())
}

/** @throws Fault HC_CONFIG */
function readConfig(): Config {
  return loadConfig({ env: process.env, dotenvFile: '.env' })
}

/** What is wrong, one problem a line, for the person who starts the server: no log line, no stack. */
function refuse(problems: string): number {
  process.stderr.write(`${problems.replaceAll(/^/gm, 'hotcakes: ')}\n`)
  return exitStatus.config
}
