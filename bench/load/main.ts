// npm run bench:load: the assembly point. See command.ts for what it takes.

import { runCommand } from '../../core/command-line.mjs'
import { isValid } from '../report/report.ts'
import { listText, loadCommand, type Request, requestOf } from './command.ts'
import { Interruption } from './interruption.ts'
import { runAll } from './series.ts'

/** `interrupted` as shells have it for a program that ended by Ctrl+C. */
const exitStatus = { ok: 0, invalid: 1, interrupted: 130 } as const

process.exitCode = await runCommand(loadCommand, process.argv.slice(2), (values, names) => {
  if (!values.list) return run(requestOf(values, names))
  process.stdout.write(listText())
  return exitStatus.ok
})

async function run(request: Request): Promise<number> {
  const interruption = new Interruption()
  try {
    const written = await runAll(request, interruption)
    if (request.json) process.stdout.write(`${JSON.stringify(written.map(({ report }) => report))}\n`)
    if (written.some(({ report }) => !report.runs.every(isValid))) return exitStatus.invalid
    return interruption.stop.aborted ? exitStatus.interrupted : exitStatus.ok
  } catch (error) {
    if (interruption.abort.aborted) return exitStatus.interrupted
    process.stderr.write(`the load could not be run: ${(error as Error).message}\n`)
    return exitStatus.invalid
  } finally {
    interruption.close()
  }
}
