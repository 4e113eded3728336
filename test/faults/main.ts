// npm run test:faults: breaks everything that can be broken under a sale, and judges what came of it.

import { Interruption } from '../../bench/load/interruption.ts'
import { type FaultArguments, helpText, parseArguments } from './arguments.ts'
import { runSeries } from './series.ts'
import { Tally } from './tally.ts'

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let asked: FaultArguments
  try {
    asked = parseArguments(args)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 2
  }
  if (asked.help) {
    process.stdout.write(helpText)
    return 0
  }
  const tally = new Tally()
  const interruption = new Interruption()
  try {
    await runSeries({
      ...asked,
      signal: interruption.stop,
      onRound: (report) => say(tally.round(report)),
      onFailure: (failure) => say(tally.failure(failure)),
    })
  } finally {
    interruption.close()
  }
  say(['', ...tally.summary()])
  return tally.isClean ? 0 : 1
}

function say(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
