import {
  type Command,
  described,
  type Options,
  UsageError,
  type Values,
  wholeNumber,
} from '../../core/command-line.mjs'
import { textTable } from '../../core/text-table.mjs'
import { programsOf } from '../harness/programs.ts'
import { findScenario, type Scenario, scenarios } from './scenarios.ts'
import {
  formatMix,
  type NumberSetting,
  numberSettings,
  parseMix,
  problemsOf,
  type Settings,
  settingLimits,
  visitNames,
  visits,
} from './settings.ts'

/** What somebody asked for. */
export interface Request {
  readonly scenarios: readonly Scenario[]
  readonly repeat: number
  /** Of a server that runs already. */
  readonly url: string | undefined
  readonly serverPid: number | undefined
  readonly audit: boolean
  readonly env: Readonly<Record<string, string>>
  readonly dataFolder: string | undefined
  readonly out: string | undefined
  readonly label: string | undefined
  readonly json: boolean
  /** A built checkout of another version, whose server is loaded in turn. */
  readonly beside: string | undefined
  /** Whether scenarios that have a floor are compared with it. */
  readonly floor: boolean
}

const settingOptions = Object.fromEntries(
  numberSettings.map((name) => {
    const { flag, unit, help } = settingLimits[name]
    return [name, { flag, value: unit === '' ? 'N' : `N (${unit})`, read: readNumber, doc: help }]
  }),
) as Record<NumberSetting, { flag: string; value: string; read: typeof readNumber; doc: string }>

export const loadCommand = {
  name: 'npm run bench:load',
  operands: 'SCENARIO...',
  purpose: `Loads a fresh server (embedded Redis and Postgres, empty data) or a running one with buyers, and reports what they
    got, how long it took, what it cost, and whether the record is right. Ctrl+C ends the load and prints the report so far; a
    second one ends everything.

    Every setting of a scenario can be overridden: these are --mix and what follows it.`,
  options: {
    list: { doc: 'the scenarios and their settings' },
    repeat: {
      value: 'N',
      read: wholeNumber({ min: 1, max: 100 }),
      default: 1,
      doc: 'runs each N times, all scenarios in turn: what differs less than the repeats is noise',
    },
    url: {
      value: 'http://HOST:PORT',
      read: readOrigin,
      doc: 'a running server instead of a fresh one; --items and what follows do not apply to it',
    },
    serverPid: {
      flag: 'server-pid',
      value: 'N',
      read: wholeNumber({ min: 1 }),
      doc: "the process id of that server's primary, for CPU and memory",
    },
    audit: { doc: 'audits that server, with the settings of this environment' },
    env: {
      value: 'APP_X=VALUE',
      read: readEnv,
      multiple: true,
      doc: 'a setting of the fresh server; may be given several times',
    },
    dataFolder: {
      flag: 'data-dir',
      value: 'DIR',
      read: String,
      defaultMeans: 'the folder for temporary files',
      doc: 'below which the fresh server keeps its data',
    },
    out: { value: 'DIR', read: String, defaultMeans: 'bench/reports', doc: 'where reports go' },
    beside: {
      value: 'FOLDER',
      read: String,
      doc: "a built checkout of another version: a fresh server of it is loaded in turn, into reports labelled 'beside'",
    },
    noFloor: { flag: 'no-floor', doc: 'does not let the buyers of sell-out loose on a bare handler first' },
    label: { value: 'TEXT', read: readLabel, doc: 'what to call these reports, for example before' },
    json: { doc: 'the reports as JSON on stdout instead of text' },
    mix: { value: 'VISIT=N,...', read: parseMix, doc: 'what buyers come for, and in which proportion: see below' },
    ...settingOptions,
  },
  notes: ['visits', ...described(visitNames.map((name) => ({ name, text: visits[name] })))].join('\n'),
  exits: {
    0: 'every report is valid',
    1: 'one is not, or the load could not be run',
    130: 'ended by Ctrl+C',
  },
} satisfies Command<Options>

export type LoadValues = Values<typeof loadCommand.options>

/** @throws UsageError */
export function requestOf(values: LoadValues, names: readonly string[]): Request {
  if (names.length === 0) throw new UsageError('name at least one scenario; npm run bench:load -- --list shows them')
  if (values.url !== undefined && ((values.reloadAt ?? 0) > 0 || (values.persisterKillAt ?? 0) > 0))
    throw new UsageError('--reload-at and --kill-persister-at are for a fresh server: they exclude --url')
  if (values.url !== undefined && values.beside !== undefined)
    throw new UsageError('--beside is for fresh servers: it excludes --url')
  programsOf(values.beside)
  const override = overrides(values)
  const chosen = names.map((name) => {
    const scenario = findScenario(name)
    if (scenario === undefined)
      throw new UsageError(`there is no scenario ${name}; npm run bench:load -- --list shows those there are`)
    const settings = { ...scenario.settings, ...override }
    const problems = problemsOf(settings)
    if (problems.length > 0) throw new UsageError(problems.join('\n'))
    return { ...scenario, settings }
  })
  const { repeat, url, serverPid, audit, env, dataFolder, out, label, json, noFloor, beside } = values
  return {
    scenarios: chosen,
    repeat,
    url,
    serverPid,
    audit,
    env: Object.fromEntries(env),
    dataFolder,
    out,
    label,
    json,
    beside,
    // Beside a server that runs already, or on another machine, it would say nothing of that one.
    floor: !noFloor && url === undefined,
  }
}

function overrides(values: LoadValues): Partial<Settings> {
  const given = Object.entries({ ...pick(values), mix: values.mix }).filter(([, value]) => value !== undefined)
  return {
    // A running server has met the buyers of an earlier run: with the same seed they would all ask for the same items. And it
    // is left in peace.
    ...(values.url !== undefined && { seed: Date.now() % 1_000_000, reloadAt: 0, persisterKillAt: 0 }),
    ...Object.fromEntries(given),
  }
}

function pick(values: LoadValues): Partial<Record<NumberSetting, number | undefined>> {
  return Object.fromEntries(numberSettings.map((name) => [name, values[name]]))
}

function readNumber(text: string): number {
  if (text.trim() === '' || Number.isNaN(Number(text))) throw new UsageError('must be a number')
  return Number(text)
}

function readOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/')
    throw new UsageError('must be like http://host:port, without a path')
  return url.origin
}

/** Only the server's own settings: these go into the report, where passwords and hosts have no place. */
function readEnv(pair: string): readonly [name: string, value: string] {
  const [, name, value] = /^(APP_[A-Z_]+|LOG_LEVEL)=(.*)$/.exec(pair) ?? []
  if (name === undefined || value === undefined) throw new UsageError('takes APP_...=value, a setting of the server')
  return [name, value]
}

function readLabel(label: string): string {
  if (!/^[A-Za-z0-9._-]{1,40}$/.test(label)) throw new UsageError('must be 1 to 40 characters of A-Z a-z 0-9 . _ -')
  return label
}

export function listText(): string {
  const head = ['scenario', 'connections', 'rate/s', 'seconds', 'stock', 'users', 'limit', 'hold s', 'fresh', 'mix']
  const rows = scenarios.map(({ name, settings }) => [
    name,
    String(settings.connections),
    settings.rate === 0 ? 'closed loop' : String(settings.rate),
    String(settings.seconds),
    settings.items.toLocaleString('en-US'),
    settings.users.toLocaleString('en-US'),
    String(settings.userLimit),
    String(settings.hold),
    settings.hot > 0 ? `${settings.hot} hot` : String(settings.fresh),
    formatMix(settings.mix) + (settings.copies > 1 ? ` x${settings.copies}` : ''),
  ])
  const summaries = scenarios.map(({ name, summary }) => `  ${name.padEnd(16)}${summary}`)
  return `${summaries.join('\n')}\n\n${textTable(head, rows).join('\n')}\n`
}
