import { UsageError } from '../../core/command-line.mjs'

/** What a buyer does in one visit; the numbers of a mix are weights of these. */
export const visits = {
  /** Checks an item out and purchases it with the code of the answer. */
  buy: 'checkout, then purchase',
  /** Checks an item out and walks away. */
  hold: 'checkout alone',
  /** Purchases once more what this connection has purchased before, as after a lost answer. */
  again: 'purchase once more',
  /** Purchases with a well-formed code that nobody was given. */
  guess: 'purchase with a made-up code',
} as const

export type Visit = keyof typeof visits
export const visitNames = Object.keys(visits) as Visit[]
export type Mix = Readonly<Record<Visit, number>>

/** Everything that determines the load and the sale it meets. */
export interface Settings {
  readonly mix: Mix
  /** Over all generators. */
  readonly connections: number
  /** Requests a second over all generators, sent on schedule whatever the answers do; 0: as fast as answers come. */
  readonly rate: number
  readonly seconds: number
  /** Load before the measurement, of which only the counts of answers are kept. */
  readonly warmup: number
  /** Share of checkouts that ask for an item nobody in this run has asked for; the others ask for one of those asked for. */
  readonly fresh: number
  /** With 1 or more, all checkouts ask for one of so many items, and `fresh` does not matter. */
  readonly hot: number
  /** Times that each request is sent. */
  readonly copies: number
  readonly users: number
  readonly timeout: number
  readonly generators: number
  /** Reads of items and records a second beside all that, on schedule. */
  readonly reads: number
  /** Sale boards that are open meanwhile. */
  readonly viewers: number
  /** Share of the measurement after which the HTTP workers are replaced, and the persister is killed; 0: never. */
  readonly reloadAt: number
  readonly persisterKillAt: number
  readonly seed: number
  /** From here on: of the server, when it is started for the run. */
  readonly items: number
  readonly userLimit: number
  readonly hold: number
  readonly interval: number
  /** HTTP worker processes; 0: the server's own default. */
  readonly httpWorkers: number
}

export type NumberSetting = Exclude<keyof Settings, 'mix'>

interface Limits {
  readonly flag: string
  readonly unit: string
  readonly min: number
  readonly max: number
  readonly isWhole: boolean
  readonly help: string
}

const whole = { isWhole: true }

/** Every setting but the mix, in the order in which people are told of them. */
export const settingLimits: Readonly<Record<NumberSetting, Limits>> = {
  connections: { flag: 'connections', unit: '', min: 1, max: 20_000, ...whole, help: 'connections, kept alive' },
  rate: {
    flag: 'rate',
    unit: 'requests/s',
    min: 0,
    max: 1_000_000,
    isWhole: false,
    help: 'send on this schedule whatever the answers do (open loop); 0: as fast as answers come (closed loop)',
  },
  seconds: { flag: 'seconds', unit: 's', min: 1, max: 604_800, ...whole, help: 'length of the measurement' },
  warmup: { flag: 'warmup', unit: 's', min: 0, max: 600, ...whole, help: 'load before the measurement' },
  fresh: {
    flag: 'fresh',
    unit: '',
    min: 0,
    max: 1,
    isWhole: false,
    help: 'share of checkouts for items not asked for before; 0: any item of the stock',
  },
  hot: { flag: 'hot', unit: 'items', min: 0, max: 1_000_000, ...whole, help: 'everybody wants one of these; 0: off' },
  copies: { flag: 'copies', unit: '', min: 1, max: 10, ...whole, help: 'times that each request is sent' },
  users: { flag: 'users', unit: '', min: 1, max: 100_000_000, ...whole, help: 'different users' },
  timeout: { flag: 'timeout', unit: 's', min: 1, max: 600, ...whole, help: 'patience for one answer' },
  generators: { flag: 'workers', unit: '', min: 1, max: 64, ...whole, help: 'generator processes' },
  reads: {
    flag: 'reads',
    unit: 'requests/s',
    min: 0,
    max: 100_000,
    isWhole: false,
    help: 'items and records read beside the buying, on schedule, by a process of their own',
  },
  viewers: {
    flag: 'viewers',
    unit: '',
    min: 0,
    max: 20_000,
    ...whole,
    help: 'sale boards that are open meanwhile, all in a process of their own',
  },
  reloadAt: {
    flag: 'reload-at',
    unit: '',
    min: 0,
    max: 1,
    isWhole: false,
    help: "share of the measurement after which a fresh server's HTTP workers are replaced; 0: never",
  },
  persisterKillAt: {
    flag: 'kill-persister-at',
    unit: '',
    min: 0,
    max: 1,
    isWhole: false,
    help: "share of it after which the fresh server's persister is killed; 0: never",
  },
  seed: { flag: 'seed', unit: '', min: 0, max: 4_294_967_295, ...whole, help: 'of what the buyers draw' },
  items: { flag: 'items', unit: '', min: 1, max: 1_000_000, ...whole, help: 'stock of the sale' },
  userLimit: { flag: 'user-limit', unit: 'items', min: 1, max: 1_000, ...whole, help: 'items that one user may have' },
  hold: { flag: 'hold', unit: 's', min: 1, max: 86_400, ...whole, help: 'how long a checkout holds its item' },
  interval: {
    flag: 'interval',
    unit: 's',
    min: 1,
    max: 2_592_000,
    ...whole,
    help: 'a sale opens every so many seconds',
  },
  httpWorkers: {
    flag: 'http-workers',
    unit: '',
    min: 0,
    max: 256,
    ...whole,
    help: "HTTP worker processes; 0: the server's default",
  },
}

export const numberSettings = Object.keys(settingLimits) as NumberSetting[]

/** What is wrong with the settings, a sentence each; empty when nothing is. */
export function problemsOf(settings: Settings): string[] {
  const problems = numberSettings.flatMap((name) => {
    const { flag, min, max, isWhole } = settingLimits[name]
    const value = settings[name]
    const fits = Number.isFinite(value) && value >= min && value <= max && (!isWhole || Number.isInteger(value))
    return fits ? [] : [`--${flag} must be ${isWhole ? 'a whole number' : 'a number'} from ${min} to ${max}`]
  })
  const weights = visitNames.map((visit) => settings.mix[visit])
  if (weights.some((weight) => !Number.isFinite(weight) || weight < 0) || weights.every((weight) => weight === 0))
    problems.push('--mix needs weights of 0 or more, at least one of them above 0')
  if (settings.generators > settings.connections) problems.push('--workers: each needs a connection of its own')
  if (settings.hot > settings.items) problems.push('--hot: the stock has fewer items')
  if (settings.rate > 0 && settings.rate < settings.generators)
    problems.push('--rate: each generator needs at least one request a second')
  return problems
}

/**
 * Reads `buy=90,hold=10`; what is not named has weight 0.
 * @throws UsageError that says what is allowed
 */
export function parseMix(text: string): Mix {
  const mix: Record<Visit, number> = { buy: 0, hold: 0, again: 0, guess: 0 }
  for (const part of text.split(',')) {
    const [name = '', weight = ''] = part.split('=')
    const visit = visitNames.find((known) => known === name.trim())
    if (visit === undefined || weight.trim() === '')
      throw new UsageError(`${part} is not one of ${visitNames.join(', ')} with =weight`)
    mix[visit] = Number(weight)
  }
  return mix
}

export function formatMix(mix: Mix): string {
  return visitNames
    .filter((visit) => mix[visit] > 0)
    .map((visit) => `${visit}=${mix[visit]}`)
    .join(',')
}
