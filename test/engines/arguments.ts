import { parseArgs } from 'node:util'

import { type EngineId, engineIds, overrideName } from './engines.ts'
import { type GroupName, groupNames, groups } from './groups.ts'

export interface EngineArguments {
  readonly help: boolean
  readonly engines: readonly EngineId[]
  readonly groups: readonly GroupName[]
}

export const helpText = `usage: npm run test:engines -- [engine...] [options]

Runs the tests that depend on Redis or PostgreSQL on the engines that people have. They come from Debian's packages, which are
unpacked beside the system's below .tools/engines; delete that folder to get them anew. What an engine does not choose is
the Redis of this machine and the PostgreSQL that comes with the npm packages.

engines (default: all)
${engineIds.map((id) => `  ${id}`).join('\n')}

  --tests A,B,...  only these; start always runs, because it says which versions there are (default: all)
${groupNames.map((name) => `      ${name.padEnd(14)}${groups[name].about}`).join('\n')}
  --help           this text

Elsewhere than on Debian an environment variable names the server program of an engine, or the folder of PostgreSQL's:
  ${overrideName('redis-8')}=/usr/bin/redis-server, ${overrideName('postgresql-15')}=/usr/lib/postgresql/15/bin

exit status
  0  every test passed on every engine, and each engine is of the version that was asked for
  1  one did not, or an engine can't be had
  2  wrong arguments
`

/** @throws Error with a sentence for people */
export function parseArguments(args: readonly string[]): EngineArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h', default: false }, tests: { type: 'string' } },
  })
  const asked = values.tests?.split(',').map((name) => known(name, groupNames, 'group of tests'))
  return {
    help: values.help,
    engines: positionals.length === 0 ? engineIds : positionals.map((name) => known(name, engineIds, 'engine')),
    groups: groupNames.filter((name) => name === 'start' || asked === undefined || asked.includes(name)),
  }
}

function known<Name extends string>(name: string, all: readonly Name[], what: string): Name {
  const found = all.find((one) => one === name)
  if (found === undefined) throw new Error(`there is no ${what} ${name}; --help lists them`)
  return found
}
