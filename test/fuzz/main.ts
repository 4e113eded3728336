// npm run test:fuzz: throws requests of all kinds at a server, and looks whether it minds.

import { parseArgs } from 'node:util'

import { Interruption } from '../../bench/load/interruption.ts'
import { Releases } from '../faults/releases.ts'
import { type FuzzReport, fuzz } from './fuzz.ts'

const requestsDefault = 100_000

const helpText = `usage: npm run test:fuzz -- [options]

Sends requests to a server of its own over many connections: well-formed ones, ones with poisoned parameters, ones that are
no HTTP/1.1, mutations of all of these, and noise; cut into pieces, or left in the middle. Beside them an honest client
buys, and must get everything that it asks for. Every well-formed request must be answered; everything else must be refused
or closed. Afterwards no process may have died, and keys, rows and log lines hold nothing that was sent.

  --requests N    how many (default ${requestsDefault})
  --seed S        what they are depends on it and on the sale alone (default: from the clock)
  --from N        the number of the first one: --from N --requests 1 repeats one that failed (default 0)
  --help          this text

exit status
  0  everything is as it must be
  1  something is not: it is spelt out
  2  wrong arguments
`

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  let asked: { help: boolean; requests: number; seed: number; from: number }
  try {
    asked = readArguments(args)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 2
  }
  if (asked.help) {
    process.stdout.write(helpText)
    return 0
  }
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
}

function readArguments(args: readonly string[]): { help: boolean; requests: number; seed: number; from: number } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      requests: { type: 'string', default: String(requestsDefault) },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      from: { type: 'string', default: '0' },
    },
  })
  const wholeNumber = (name: 'requests' | 'seed' | 'from') => {
    if (!/^\d{1,9}$/.test(values[name])) throw new Error(`--${name} must be a whole number of at most 9 digits`)
    return Number(values[name])
  }
  return {
    help: values.help,
    requests: wholeNumber('requests'),
    seed: wholeNumber('seed'),
    from: wholeNumber('from'),
  }
}

function reportLines({ run, honestRequests, seconds, findings }: FuzzReport): string[] {
  return [
    `${run.done} requests in ${seconds.toFixed(1)} s; the honest client beside them made ${honestRequests}`,
    'kinds',
    ...table(run.kinds),
    'answers that were waited for, by status; 0: none',
    ...table(run.answers),
    ...findings,
    findings.length === 0 ? 'everything is as it must be' : `${findings.length} findings`,
  ]
}

function table(counts: ReadonlyMap<string | number, number>): string[] {
  const rows = [...counts].toSorted(([, a], [, b]) => b - a)
  return rows.map(([name, count]) => `${String(count).padStart(8)}  ${name}`)
}
