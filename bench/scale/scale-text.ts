import { textTable } from '../../core/text-table.mjs'
import { median } from '../harness/median.ts'
import { formatCount, formatMs, formatPercent } from '../report/format.ts'
import { type MeasuredRun, medianRun } from './measured-run.ts'
import type { Place } from './place.ts'
import type { Case, Series } from './series.ts'

const head = [
  'shards',
  'capacity',
  'of one',
  'least',
  'most',
  'us Redis',
  'by node',
  'calls',
  'commands',
  'batch',
  'connections',
  'no right',
  'held',
  'loans',
  'per second',
  'p50 ms',
  'p99 ms',
  'us generator',
]

/** One case at all places: medians over the rounds, and the ratios to one shard that were taken within each round. */
export function caseText(
  series: Series,
  one: Case,
  { places, base }: { places: readonly Place[]; base: Place | undefined },
): string {
  const ofBase = base === undefined ? [] : series.of(one, base)
  const rows = places.map((place) => {
    const runs = series.of(one, place)
    const ratios = runs.flatMap((run, round) => {
      const other = ofBase[round]
      return other === undefined ? [] : [run.capacity / other.capacity]
    })
    return [place.plan.name, ...numbers(medianRun(runs), ratios)]
  })
  const undecided = places.reduce(
    (sum, place) => sum + series.of(one, place).reduce((n, run) => n + run.undecided, 0),
    0,
  )
  const note = undecided === 0 ? '' : `${formatCount(undecided)} commands got no decision\n`
  return `${one.name}\n${textTable(head, rows).join('\n')}\n${note}`
}

function numbers(run: MeasuredRun, ratios: readonly number[]): string[] {
  const ratio = (value: number): string => (ratios.length === 0 ? '-' : `x${value.toFixed(2)}`)
  return [
    `${formatCount(run.capacity)}/s`,
    ratio(median(ratios)),
    ratio(Math.min(...ratios)),
    ratio(Math.max(...ratios)),
    run.redisUs.toFixed(2),
    run.nodeUs.map((us) => us.toFixed(1)).join('+'),
    run.callsPerDecision.toFixed(4),
    run.commandsPerDecision.toFixed(2),
    run.meanBatch.toFixed(1),
    formatCount(run.connections),
    formatPercent(run.withoutRight),
    formatPercent(run.heldShare),
    run.loansPerCheckout.toFixed(2),
    formatCount(run.perSecond),
    formatMs(run.p50Us),
    formatMs(run.p99Us),
    run.generatorUs.toFixed(1),
  ]
}

export const legend = `capacity: shards / (us Redis), what so many Redises decide a second with a core each; "of one": to one node of a cluster,
the median over the rounds of the ratio within a round, with the least and the most. us Redis: CPU of all redis-servers a decision,
user and system, from INFO cpu; by node: what each has of it. calls, commands: of Redis a decision, loans and what was sent again
included. no right: of the checkouts, those whose item was free and whose buyer had no right at its shard. held: of the checkouts.
loans: asked for, a checkout. per second, p50, p99: of this machine, where all share its cores: no capacity.
`
