import { type Command, described, type Options, someOf, UsageError } from '../../core/command-line.mjs'
import { type EngineId, engineIds, overrideName } from './engines.ts'
import { type GroupName, groupNames, groups } from './groups.ts'

export const enginesCommand = {
  name: 'npm run test:engines',
  operands: '[ENGINE...]',
  purpose: `Runs the tests that depend on Redis or PostgreSQL on the engines that people have. They come from Debian's packages,
    which are unpacked beside the system's below .tools/engines; delete that folder to get them anew. What an engine does not
    choose is the Redis of this machine and the PostgreSQL that comes with the npm packages.`,
  options: {
    tests: {
      value: 'A,B,...',
      read: someOf(groupNames),
      defaultMeans: 'all',
      doc: 'only these groups of tests; start always runs, because it says which versions there are',
    },
  },
  notes: [
    'engines (default: all)',
    ...engineIds.map((id) => `  ${id}`),
    '',
    'groups of tests',
    ...described(groupNames.map((name) => ({ name, text: groups[name].about }))),
    '',
    "Elsewhere than on Debian an environment variable names the server program of an engine, or the folder of PostgreSQL's:",
    `  ${overrideName('redis-8')}=/usr/bin/redis-server, ${overrideName('postgresql-15')}=/usr/lib/postgresql/15/bin`,
  ].join('\n'),
  exits: {
    0: 'every test passed on every engine, and each engine is of the version that was asked for',
    1: "one did not, or an engine can't be had",
  },
} satisfies Command<Options>

/** @throws UsageError */
export function enginesIn(operands: readonly string[]): readonly EngineId[] {
  if (operands.length === 0) return engineIds
  return operands.map((name) => {
    const id = engineIds.find((one) => one === name)
    if (id === undefined) throw new UsageError(`there is no engine ${name}`)
    return id
  })
}

export function groupsIn(asked: readonly GroupName[] = groupNames): readonly GroupName[] {
  return groupNames.filter((name) => name === 'start' || asked.includes(name))
}
