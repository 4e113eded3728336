import type { Settings } from './settings.ts'

export interface Scenario {
  readonly name: string
  readonly summary: string
  readonly settings: Settings
  /** Whether the same buyers also empty a bare handler, to say which share of its rate is reached. */
  readonly hasFloor?: boolean
}

const usual: Settings = {
  mix: { buy: 1, hold: 0, again: 0, guess: 0 },
  connections: 128,
  rate: 0,
  seconds: 30,
  warmup: 3,
  fresh: 0.9,
  hot: 0,
  copies: 1,
  users: 500_000,
  timeout: 10,
  generators: 1,
  reads: 0,
  viewers: 0,
  reloadAt: 0,
  persisterKillAt: 0,
  seed: 1,
  items: 1_000_000,
  userLimit: 10,
  hold: 600,
  // The longest there is: no boundary in the middle of a run, but for one hour in thirty days.
  interval: 2_592_000,
  httpWorkers: 0,
}

/** The numbers of a scenario are a proposal: every one can be overridden. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'purchase-heavy',
    summary: 'heavy load, most checkouts followed by a purchase',
    settings: { ...usual, mix: { buy: 90, hold: 10, again: 0, guess: 0 }, seconds: 60 },
  },
  {
    name: 'balanced',
    summary: 'checkouts and purchases in about equal parts, many of them turned down',
    settings: { ...usual, mix: { buy: 45, hold: 20, again: 10, guess: 25 }, fresh: 0.6, seconds: 60 },
  },
  {
    name: 'sell-out',
    summary: '10,000 items against a crowd: time to the last one, then the storm of 409s',
    settings: { ...usual, items: 10_000, users: 2_000, fresh: 0, seconds: 20, warmup: 0 },
    hasFloor: true,
  },
  {
    name: 'hot-item',
    summary: 'everybody wants the same 100 items, whose holds last a second',
    settings: { ...usual, mix: { buy: 1, hold: 99, again: 0, guess: 0 }, hot: 100, items: 10_000, hold: 1 },
  },
  {
    name: 'retry-storm',
    summary: 'every request is sent twice; the second answer must equal the first',
    settings: { ...usual, copies: 2 },
  },
  {
    name: 'sold-out',
    summary: 'nothing is left: rejections only',
    settings: { ...usual, items: 100 },
  },
  {
    name: 'steady',
    summary: 'a fixed rate, for latency (open loop)',
    settings: { ...usual, mix: { buy: 90, hold: 10, again: 0, guess: 0 }, rate: 4_000, connections: 256, seconds: 60 },
  },
  {
    name: 'soak',
    summary: 'steady for an hour or as long as told, over several sales, a reload and the death of a persister',
    settings: {
      ...usual,
      mix: { buy: 80, hold: 10, again: 5, guess: 5 },
      rate: 1_000,
      seconds: 3_600,
      hold: 60,
      interval: 600,
      reloadAt: 1 / 3,
      persisterKillAt: 2 / 3,
    },
  },
]

export function findScenario(name: string): Scenario | undefined {
  return scenarios.find((scenario) => scenario.name === name)
}
