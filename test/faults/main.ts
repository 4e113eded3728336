// npm run test:faults: breaks everything that can be broken under a sale, and judges what came of it.

import { Interruption } from '../../bench/load/interruption.ts'
import { runCommand } from '../../core/command-line.mjs'
import { assertPossible, faultsCommand, possibleAcks, possibleKinds } from './command.ts'
import { runSeries } from './series.ts'
import { Tally } from './tally.ts'

process.exitCode = await runCommand(
  faultsCommand,
  process.argv.slice(2),
  async ({ rounds, seed, kinds, ack, shards }) => {
    assertPossible(kinds ?? [], shards, ack)
    const tally = new Tally(shards)
    const interruption = new Interruption()
    try {
      await runSeries({
        rounds,
        seed,
        shards,
        kinds: kinds ?? possibleKinds(shards),
        acks: ack === undefined ? possibleAcks(shards) : [ack],
        signal: interruption.stop,
        onRound: (report) => say(tally.round(report)),
        onFailure: (failure) => say(tally.failure(failure)),
      })
    } finally {
      interruption.close()
    }
    say(['', ...tally.summary()])
    return tally.isClean ? 0 : 1
  },
)

function say(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
