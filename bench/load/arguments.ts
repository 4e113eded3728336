import { parseArgs } from 'node:util'
import { textTable } from '../report/text-table.ts'
import { findScenario, type Scenario, scenarios } from './scenarios.ts'
import {
  formatMix,
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
}

export type Asked = { readonly help: true } | { readonly list: true } | { readonly request: Request }

const runOptions = {
  repeat: { type: 'string' },
  url: { type: 'string' },
  'server-pid': { type: 'string' },
  audit: { type: 'boolean' },
  env: { type: 'string', multiple: true },
  'data-dir': { type: 'string' },
  out: { type: 'string' },
  label: { type: 'string' },
  json: { type: 'boolean' },
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const repeatMax = 100

/** @throws Error whose message says what is wrong, a line each */
export function parseArguments(args: readonly string[]): Asked {
  const settingOptions = Object.fromEntries(
    [...numberSettings.map((name) => settingLimits[name].flag), 'mix'].map(
      (flag) => [flag, { type: 'string' }] as const,
    ),
  )
  const parsed = parseArgs({
    args: [...args],
    options: { ...settingOptions, ...runOptions },
    allowPositionals: true,
  })
  const values = parsed.values as Readonly<Record<string, string | boolean | string[] | undefined>>
  if (values['help'] === true) return { help: true }
  if (values['list'] === true) return { list: true }
  if (parsed.positionals.length === 0) throw new Error('name at least one scenario; --list shows them')

  const text = (flag: string): string | undefined => values[flag] as string | undefined
  const url = text('url')
  const override = overrides(text, url !== undefined)
  const chosen = parsed.positionals.map((name) => {
    const scenario = findScenario(name)
    if (scenario === undefined) throw new Error(`there is no scenario ${name}; --list shows those there are`)
    const settings = { ...scenario.settings, ...override }
    const problems = problemsOf(settings)
    if (problems.length > 0) throw new Error(problems.join('\n'))
    return { ...scenario, settings }
  })
  return {
    request: {
      scenarios: chosen,
      repeat: wholeNumber('repeat', text('repeat') ?? '1', repeatMax),
      url: url === undefined ? undefined : origin(url),
      serverPid: text('server-pid') === undefined ? undefined : wholeNumber('server-pid', text('server-pid') ?? ''),
      audit: values['audit'] === true,
      env: readEnv((values['env'] as string[] | undefined) ?? []),
      dataFolder: text('data-dir'),
      out: text('out'),
      label: readLabel(text('label')),
      json: values['json'] === true,
    },
  }
}

function overrides(text: (flag: string) => string | undefined, isRunning: boolean): Partial<Settings> {
  const numbers = numberSettings.flatMap((name) => {
    const { flag } = settingLimits[name]
    const value = text(flag)
    if (value === undefined) return []
    if (value.trim() === '' || Number.isNaN(Number(value))) throw new Error(`--${flag} must be a number`)
    return [[name, Number(value)] as const]
  })
  const mix = text('mix')
  return {
    // A running server has met the buyers of an earlier run: with the same seed they would all ask for the same items.
    ...(isRunning && { seed: Date.now() % 1_000_000 }),
    ...Object.fromEntries(numbers),
    ...(mix !== undefined && { mix: parseMix(mix) }),
  }
}

function wholeNumber(flag: string, text: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new Error(`--${flag} must be a whole number from 1 to ${max}`)
  return value
}

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/')
    throw new Error('--url must be like http://host:port, without a path')
  return url.origin
}

/** Only the server's own settings: these go into the report, where passwords and hosts have no place. */
function readEnv(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^(APP_[A-Z_]+|LOG_LEVEL)=(.*)$/.exec(pair) ?? []
      if (name === undefined || value === undefined)
        throw new Error('--env takes APP_...=value, a setting of the server')
      return [name, value] as const
    }),
  )
}

function readLabel(label: string | undefined): string | undefined {
  if (label !== undefined && !/^[A-Za-z0-9._-]{1,40}$/.test(label))
    throw new Error('--label must be 1 to 40 characters of A-Z a-z 0-9 . _ -')
  return label
}

export function helpText(): string {
  const flags = numberSettings.map((name) => {
    const { flag, unit, help } = settingLimits[name]
    return `  ${`--${flag} ${unit === '' ? 'N' : `N (${unit})`}`.padEnd(26)}${help}`
  })
  return `usage: npm run bench:load -- SCENARIO... [options]

Loads a fresh server (embedded Redis and Postgres, empty data) or a running one with buyers, and reports what they got,
how long it took, what it cost, and whether the record is right. Ctrl+C ends the load and prints the report so far; a
second one ends everything.

  --list                    the scenarios and their settings
  --repeat N                runs each N times, all scenarios in turn: what differs less than the repeats is noise
  --url http://host:port    a running server instead of a fresh one; --items and what follows do not apply to it
  --server-pid N            the process id of that server's primary, for CPU and memory
  --audit                   audits that server, with the settings of this environment
  --env APP_X=value         a setting of the fresh server; may be given several times
  --data-dir DIR            below which the fresh server keeps its data (default: the folder for temporary files)
  --out DIR                 where reports go (default: bench/reports)
  --label TEXT              what to call these reports, for example before
  --json                    the reports as JSON on stdout instead of text

Every setting of a scenario can be overridden:
  --mix ${visitNames.join('=N,')}=N
${visitNames.map((visit) => `      ${visit.padEnd(22)}${visits[visit]}`).join('\n')}
${flags.join('\n')}
`
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
