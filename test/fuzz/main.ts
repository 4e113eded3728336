// npm run test:fuzz: throws requests of all kinds at a server, and looks whether it minds.

import { Interruption } from '../../bench/load/interruption.ts'
import { type Command, type Options, runCommand, wholeNumber } from '../../core/command-line.mjs'
import { shardsMax } from '../../core/limits.ts'
import { textTable } from '../../core/text-table.mjs'
import { Releases } from '../faults/releases.ts'
import { nineDigits, seedOption } from '../helpers/seed.ts'
import { type FuzzReport, fuzz } from './fuzz.ts'

const fuzzCommand = {
  name: 'npm run test:fuzz',
  purpose: `Sends requests to a server of its own over many connections: well-formed ones, ones with poisoned parameters, ones
    that are no HTTP/1.1, mutations of all of these, and noise; cut into pieces, or left in the middle. Beside them an honest
    client buys, and must get everything that it asks for. Every well-formed request must be answered; everything else must
    be refused or closed. Afterwards no process may have died, and keys, rows and log lines hold nothing that was sent.`,
  options: {
    requests: { value: 'N', read: nineDigits, default: 100_000, doc: 'how many' },
    shards: {
      value: 'N',
      read: wholeNumber({ min: 1, max: shardsMax }),
      default: 1,
      doc: 'of the sale, all in one Redis',
    },
    seed: seedOption('what they are depends on it and on the sale alone'),
    from: {
      value: 'N',
      read: nineDigits,
      default: 0,
      doc: 'the number of the first one: --from N --requests 1 repeats one that failed',
    },
  },
  exits: { 0: 'everything is as it must be', 1: 'something is not: it is spelt out' },
} satisfies Command<Options>

process.exitCode = await runCommand(fuzzCommand, process.argv.slice(2), async (asked) => {
  process.stdout.write(`seed ${asked.seed}\n`)
  const scope = new Releases()
  const interruption = new Interruption()
  try {
    const onProgress = (done: number) => void process.stdout.write(`\r${done} of ${asked.requests}`)
    const report = await fuzz(scope, { ...asked, signal: interruption.stop, onProgress })
    process.stdout.write(`\r${reportLines(report).join('\n')}\n`)
    return report.findings.length === 0 ? 0 : 1
  } finally {
    interruption.close()
    await scope.release()
  }
})

function reportLines({ run, honestRequests, seconds, findings }: FuzzReport): string[] {
  return [
    `${run.done} requests in ${seconds.toFixed(1)} s; the honest client beside them made ${honestRequests}`,
    ...textTable(['requests', 'kind'], byCount(run.kinds), { left: [1] }),
    ...textTable(['answers', 'status of those that were waited for; 0: none'], byCount(run.answers), { left: [1] }),
    ...findings,
    findings.length === 0 ? 'everything is as it must be' : `${findings.length} findings`,
  ]
}

function byCount(counts: ReadonlyMap<string | number, number>): string[][] {
  return [...counts].toSorted(([, a], [, b]) => b - a).map(([name, count]) => [String(count), String(name)])
}
