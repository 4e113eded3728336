import type { Service } from './engines.ts'

interface Group {
  readonly about: string
  /** Below dist/test/. */
  readonly files: readonly string[]
  /** Of an engine that its tests don't use they could say nothing. */
  readonly uses: readonly Service[]
}

/** In the order in which they run: the quick ones first. */
export const groups = {
  start: {
    about: 'the server starts, sells, passes its audit and stops',
    files: ['engine.test.js'],
    uses: ['redis', 'postgres'],
  },
  semantics: { about: 'every rule of a sale, over HTTP', files: ['semantics.test.js'], uses: ['redis'] },
  access: { about: 'the documented rights suffice', files: ['access.test.js'], uses: ['redis', 'postgres'] },
  recovery: { about: 'Redis has lost its data', files: ['recovery.test.js'], uses: ['redis', 'postgres'] },
  'exactly-once': {
    about: 'the persister, Redis and Postgres die at each step',
    files: ['exactly-once.test.js'],
    uses: ['redis', 'postgres'],
  },
  cluster: {
    about: 'a shard is followed through a cluster of its nodes',
    files: ['cluster-connection.test.js', 'cluster-check.test.js'],
    uses: ['redis'],
  },
  shards: {
    about: 'a sale over three shards, whose rights move, are settled and come back',
    files: ['sharded-sales.test.js', 'rights-replies.test.js', 'settle-rights.test.js', 'lost-shards.test.js'],
    uses: ['redis'],
  },
  audit: {
    about: 'records that are right, and 27 planted breaches',
    files: ['audit.test.js', 'audit-breaches.test.js'],
    uses: ['redis', 'postgres'],
  },
  'sell-out': { about: 'a whole sale of 10,000 items', files: ['sell-out.test.js'], uses: ['redis', 'postgres'] },
} as const satisfies Record<string, Group>

export type GroupName = keyof typeof groups
export const groupNames = Object.keys(groups) as GroupName[]

export function concerns(group: GroupName, service: Service): boolean {
  return (groups[group] as Group).uses.includes(service)
}
