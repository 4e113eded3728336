// npm run check: format, lint, types, dead code.

import './node-version.mjs'

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

import { prepare, root } from './prepare.mjs'
import { runCommandEntry, SetupError, say } from './progress.mjs'

const checks = {
  format: ['biome', 'check', '--error-on-warnings', '.'],
  lint: ['oxlint', '--deny-warnings', '.'],
  // The build itself may be current, and the types be fine, in a tree that was compiled before its packages changed.
  types: ['tsc', '--noEmit', '--incremental', 'false', '--project', '.'],
  'dead code': ['knip', '--no-progress'],
}

function passes([tool, ...args]) {
  const { status } = spawnSync(join(root, 'node_modules/.bin', tool), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return status === 0
}

const command = {
  name: 'npm run check',
  purpose: `Checks format, rules of the linter, types and dead code. All four always run, so that one round shows everything.
    npm run format repairs the format.`,
  options: {},
  exits: { 0: 'all passed', 1: 'one failed: it said why' },
}

await runCommandEntry(command, async () => {
  await prepare({ redis: 'not-needed', compile: false })
  const failed = Object.keys(checks).filter((name) => {
    const passed = passes(checks[name])
    say(`${name}: ${passed ? 'passed' : 'FAILED'}`)
    return !passed
  })
  if (failed.length > 0) throw new SetupError(`check failed: ${failed.join(', ')}`)
})
