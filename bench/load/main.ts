// npm run bench:load: the assembly point. See arguments.ts for what it takes.

import { isValid } from '../report/report.ts'
import { type Asked, helpText, listText, parseArguments, type Request } from './arguments.ts'
import { Interruption } from './interruption.ts'
import { runAll } from './series.ts'

/** `interrupted` as shells have it for a program that ended by Ctrl+C. */
const exitStatus = { ok: 0, invalid: 1, usage: 2, interrupted: 130 } as const

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let asked: Asked
  try {
    asked = parseArguments(args)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return exitStatus.usage
  }
  if ('help' in asked) process.stdout.write(helpText())
  else if ('list' in asked) process.stdout.write(listText())
  else return await run(asked.request)
  return exitStatus.ok
}

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
