import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

import {
  type Command,
  helpText,
  type Options,
  oneOf,
  readArguments,
  someOf,
  UsageError,
  wholeNumber,
} from './command-line.mjs'

const command = {
  name: 'npm run bake',
  operands: '[CAKE...]',
  purpose: 'Bakes cakes,\n  one after the other.\n\nNone is burnt.',
  options: {
    minutes: { value: 'N', read: wholeNumber({ min: 1, max: 90 }), default: 40, doc: 'in the oven' },
    shelf: { value: 'WHICH', read: oneOf(['upper', 'lower']), defaultMeans: 'the one that is free', doc: 'where' },
    tins: { flag: 'tin-sizes', value: 'A,B,...', read: someOf(['small', 'large']), doc: 'one after the other' },
    guests: { value: 'NAME', read: String, multiple: true, doc: 'whose cake it is; may be given several times' },
    isDry: { flag: 'dry-run', doc: 'only say what would be done' },
  },
  exits: { 1: 'a cake was burnt' },
} satisfies Command<Options>

const read = (...args: string[]) => readArguments(command, args)

test('options have their values, or their defaults', () => {
  assert.deepEqual(read(), {
    isHelp: false,
    values: { minutes: 40, shelf: undefined, tins: undefined, guests: [], isDry: false },
    operands: [],
  })
  const args = [
    'plum',
    '--minutes=30',
    '--shelf',
    'upper',
    '--tin-sizes',
    'small,large',
    '--guests',
    'ann',
    '--dry-run',
  ]
  const { values, operands } = read(...args, '--guests', 'bob', 'nut')
  const {
    minutes,
    shelf,
    tins,
    guests,
    isDry,
  }: { minutes: number; shelf: 'upper' | 'lower' | undefined } & typeof values = values
  assert.deepEqual([minutes, shelf, tins, guests, isDry], [30, 'upper', ['small', 'large'], ['ann', 'bob'], true])
  assert.deepEqual(operands, ['plum', 'nut'])
})

test('what is wrong with an argument is said with the name of the option', () => {
  const wrong: readonly (readonly [args: string[], words: string])[] = [
    [['--minutes', '0'], '--minutes must be a whole number from 1 to 90'],
    [['--minutes', '1e1'], '--minutes must be a whole number from 1 to 90'],
    [['--minutes', ''], '--minutes must be a whole number from 1 to 90'],
    [['--shelf', 'middle'], '--shelf must be one of upper, lower'],
    [['--tin-sizes', 'small,'], '--tin-sizes must be one of small, large'],
    [['--minute', '3'], "Unknown option '--minute'"],
    [['--minutes'], "Option '--minutes <value>' argument missing"],
    [['--dry-run=no'], "Option '--dry-run' does not take an argument"],
  ]
  for (const [args, message] of wrong) assert.throws(() => read(...args), new UsageError(message), args.join(' '))
  const { operands: _, ...without } = command
  assert.throws(() => readArguments(without, ['plum']), new UsageError("Unexpected argument 'plum'"))
})

test('with --help or -h nothing else is looked at', () => {
  for (const flag of ['--help', '-h']) assert.equal(read('--minutes', 'many', flag).isHelp, true)
})

test('the help has purpose, options with their defaults, and the exit statuses', () => {
  assert.equal(
    helpText(command),
    `usage: npm run bake -- [CAKE...] [options]

Bakes cakes, one after the other.

None is burnt.

options
  --minutes N          in the oven (default: 40)
  --shelf WHICH        where (default: the one that is free)
  --tin-sizes A,B,...  one after the other
  --guests NAME        whose cake it is; may be given several times
  --dry-run            only say what would be done
  --help               this text

exit status
  0  done
  1  a cake was burnt
  2  wrong arguments
`,
  )
  const long = { ...command, options: { quantity: { value: 'N', read: String, doc: 'word '.repeat(40) } } }
  for (const line of helpText(long).split('\n')) assert.ok(line.length <= 100, line)
})

test('a command ends with what its main function gives, or with 2 and one line on stderr', () => {
  const module = new URL('command-line.mjs', import.meta.url).href
  const run = (...args: string[]) => {
    const program = `
      const { runCommand, UsageError } = await import('${module}')
      const command = { name: 'bake', purpose: 'p', options: { burnt: { doc: 'd' }, late: { doc: 'd' } }, exits: {} }
      process.exitCode = await runCommand(command, process.argv.slice(1), ({ burnt, late }) => {
        if (late) throw new UsageError('too late')
        if (burnt) return 1
      })`
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', program, '--', ...args],
      { encoding: 'utf8' },
    )
    return [status, stdout.split('\n')[0], stderr]
  }
  assert.deepEqual(run(), [0, '', ''])
  assert.deepEqual(run('--burnt'), [1, '', ''])
  assert.deepEqual(run('--late'), [2, '', 'bake: too late\nbake --help shows what there is\n'])
  assert.deepEqual(run('--no'), [2, '', "bake: Unknown option '--no'\nbake --help shows what there is\n"])
  assert.deepEqual(run('-h'), [0, 'usage: bake [options]', ''])
})
