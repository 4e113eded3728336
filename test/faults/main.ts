// npm run test:faults: breaks everything that can be broken under a sale, and judges what came of it.

import { runCommand } from '../../core/command-line.mjs'
import { Interrupts } from '../../core/interrupts.ts'
import { abortedStatus, assertPossible, faultsCommand, possibleAcks, possibleKinds } from './command.ts'
import { Aborted, runSeries } from './series.ts'
import { Tally } from './tally.ts'

process.exitCode = await runCommand(
  faultsCommand,
  process.argv.slice(2),
  async ({ rounds, seed, kinds, ack, shards }) => {
    assertPossible(kinds ?? [], shards, ack)
    const tally = new Tally(shards)
    const [stop, abort] = [new AbortController(), new AbortController()]
    const interrupts = new Interrupts({
      onFirst: () => {
        stop.abort()
        say(['ending after this round; a second signal ends it at once'])
      },
      onAgain: () => abort.abort(),
    })
    try {
      await runSeries({
        rounds,
        seed,
        shards,
        kinds: kinds ?? possibleKinds(shards),
        acks: ack === undefined ? possibleAcks(shards) : [ack],
        stop: stop.signal,
        abort: abort.signal,
        onRound: (report) => say(tally.round(report)),
        onFailure: (failure) => say(tally.failure(failure)),
      })
    } catch (error) {
      if (!(error instanceof Aborted)) throw error
      say(['', ...tally.summary(), 'ended in the midst of a round, which was not judged'])
      // What the round waits for comes no more.
      process.exit(abortedStatus)
    } finally {
      interrupts.close()
    }
    say(['', ...tally.summary()])
    return tally.isClean ? 0 : 1
  },
)

function say(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
