// @ts-check
// What all commands of this project have in common: how arguments are read, what --help prints, what is said of a slip.
// Plain JavaScript, because the commands in ops/setup run before anything is installed or compiled.

import { parseArgs } from 'node:util'

/** Arguments that a command can't take, in a sentence. */
export class UsageError extends Error {}

/**
 * An option with a value: `--name VALUE`.
 * @template T
 * @typedef {object} ValueOption
 * @property {string} doc
 * @property {string} value what the value is called in the help
 * @property {(text: string) => T} read throws a UsageError like `must be a whole number`
 * @property {T} [default]
 * @property {string} [defaultMeans] the default in words
 * @property {boolean} [multiple] it may be given several times; all values are taken
 * @property {string} [flag] its name on the command line, where that is another one than in the code
 */

/**
 * An option without a value: `--name`.
 * @typedef {object} Flag
 * @property {string} doc
 * @property {undefined} [value]
 * @property {string} [flag]
 */

/** @typedef {Readonly<Record<string, ValueOption<any> | Flag>>} Options */

/**
 * @template {Options} O
 * @typedef {object} Command
 * @property {string} name as people type it, like `npm run audit`
 * @property {string} [operands] what stands beside the options, like `[FILE...]`; none are taken without it
 * @property {string} purpose paragraphs, with an empty line between two
 * @property {O} options
 * @property {string} [notes] what else is to be known, in lines as they are to be printed
 * @property {Readonly<Record<number, string>>} exits the exit statuses and what they mean
 * @property {number} [usageStatus] that of wrong arguments, 2 unless it says otherwise
 */

/**
 * @template {Options} O
 * @typedef {{
 *   readonly [Name in keyof O]: O[Name] extends { readonly read: (text: string) => infer T }
 *     ? O[Name] extends { readonly multiple: true } ? readonly T[]
 *     : O[Name] extends { readonly default: any } ? T : T | undefined
 *     : boolean
 * }} Values
 */

const usageStatusDefault = 2
const lineWidth = 100
/** A longer option stands on a line of its own. */
const nameWidthMax = 24

/**
 * Runs `main` with what was asked for; prints the help instead, or what is wrong with the arguments.
 * @template {Options} O
 * @param {Command<O>} command
 * @param {readonly string[]} args
 * @param {(values: Values<O>, operands: string[]) => number | undefined | void | Promise<number | undefined | void>} main gives
 *   the exit status, 0 where it gives none; may throw a UsageError as well
 * @param {(error: UsageError) => void} [onRefused] for what is to be said elsewhere than on stderr
 * @returns {Promise<number>} the exit status
 */
export async function runCommand(command, args, main, onRefused) {
  try {
    const { isHelp, values, operands } = readArguments(command, args)
    if (isHelp) {
      process.stdout.write(helpText(command))
      return 0
    }
    return (await main(values, operands)) ?? 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${command.name}: ${error.message}\n${helpCommand(command)} shows what there is\n`)
    onRefused?.(error)
    return command.usageStatus ?? usageStatusDefault
  }
}

/**
 * What was asked for; no value is looked at when that was help.
 * @template {Options} O
 * @param {Command<O>} command
 * @param {readonly string[]} args
 * @returns {{ isHelp: boolean, values: Values<O>, operands: string[] }}
 * @throws {UsageError}
 */
export function readArguments(command, args) {
  const named = Object.entries(command.options).map(([name, option]) => ({ name, flag: option.flag ?? name, option }))
  const known = named.map(({ flag, option }) => {
    const multiple = option.value !== undefined && option.multiple === true
    return [flag, { type: option.value === undefined ? 'boolean' : 'string', multiple }]
  })
  const parsed = parsedArguments(args, Object.fromEntries(known), command.operands !== undefined)
  const isHelp = parsed.values['help'] === true
  const values = isHelp ? [] : named.map(({ name, flag, option }) => [name, valueOf(option, flag, parsed.values[flag])])
  return { isHelp, values: Object.fromEntries(values), operands: parsed.positionals }
}

/**
 * @param {readonly string[]} args
 * @param {import('node:util').ParseArgsConfig['options']} known
 * @param {boolean} allowPositionals
 * @returns {{ values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>, positionals: string[] }}
 */
function parsedArguments(args, known, allowPositionals) {
  try {
    const options = { ...known, help: /** @type {const} */ ({ type: 'boolean', short: 'h' }) }
    return parseArgs({ args: [...args], options, allowPositionals })
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code?.startsWith('ERR_PARSE_ARGS') !== true) throw error
    throw new UsageError(message.split(/\.\s/)[0]) // what follows is advice for `--`, which nobody needs here
  }
}

/**
 * @param {ValueOption<unknown> | Flag} option
 * @param {string} flag
 * @param {string | boolean | (string | boolean)[] | undefined} given
 */
function valueOf(option, flag, given) {
  if (option.value === undefined) return given === true
  if (given === undefined) return option.multiple === true ? [] : option.default
  try {
    return Array.isArray(given) ? given.map((text) => option.read(String(text))) : option.read(String(given))
  } catch (error) {
    if (error instanceof UsageError) error.message = `--${flag} ${error.message}`
    throw error
  }
}

/**
 * What --help prints.
 * @param {Command<any>} command
 */
export function helpText(command) {
  const options = Object.entries(command.options).map(([name, option]) => {
    const value = option.value === undefined ? '' : ` ${option.value}`
    return { name: `--${option.flag ?? name}${value}`, text: `${option.doc}${defaultText(option)}` }
  })
  const usage = [separated(command.name), ...(command.operands === undefined ? [] : [command.operands]), '[options]']
  const { exits, notes, purpose, usageStatus = usageStatusDefault } = command
  const statuses = Object.entries({ 0: 'done', [usageStatus]: 'wrong arguments', ...exits })
  const lines = [
    `usage: ${usage.join(' ')}`,
    ...purpose.split(/\n\s*\n/).flatMap((paragraph) => ['', ...wrapped(paragraph)]),
    '',
    'options',
    ...described([...options, { name: '--help', text: 'this text' }]),
    ...(notes === undefined ? [] : ['', notes.trimEnd()]),
    '',
    'exit status',
    ...described(statuses.map(([name, text]) => ({ name, text }))),
  ]
  return `${lines.join('\n')}\n`
}

/** @param {ValueOption<any> | Flag} option */
function defaultText(option) {
  if (option.value === undefined) return ''
  const means = option.defaultMeans ?? option.default
  return means === undefined ? '' : ` (default: ${String(means)})`
}

/**
 * npm takes the options up to `--` for its own.
 * @param {string} name
 */
function separated(name) {
  return name.startsWith('npm ') ? `${name} --` : name
}

/** @param {Command<any>} command */
function helpCommand({ name }) {
  return `${separated(name)} --help`
}

/**
 * Names in a column, and what they mean beside them.
 * @param {readonly { name: string, text: string }[]} rows
 */
export function described(rows) {
  const width = Math.min(nameWidthMax, Math.max(...rows.map(({ name }) => name.length)))
  const indent = ' '.repeat(width + 4)
  return rows.flatMap(({ name, text }) => {
    const lines = wrapped(text, indent)
    if (name.length > width) return [`  ${name}`, ...lines]
    return [`  ${name.padEnd(width)}  ${lines[0]?.slice(indent.length)}`, ...lines.slice(1)]
  })
}

/**
 * The words in lines of at most 100 characters, if they are no longer themselves.
 * @param {string} text
 * @param {string} indent of each line
 */
export function wrapped(text, indent = '') {
  /** @type {string[]} */
  const lines = []
  let line = indent
  for (const word of text.trim().split(/\s+/)) {
    const longer = line === indent ? line + word : `${line} ${word}`
    if (longer.length > lineWidth && line !== indent) {
      lines.push(line)
      line = indent + word
    } else line = longer
  }
  return [...lines, line]
}

/** @param {{ min?: number, max?: number }} [bounds] */
export function wholeNumber({ min = 0, max = Number.MAX_SAFE_INTEGER } = {}) {
  return (/** @type {string} */ text) => {
    const number = Number(text)
    if (/^\d{1,16}$/.test(text) && number >= min && number <= max) return number
    const most = max === Number.MAX_SAFE_INTEGER ? 'on' : `to ${max}`
    throw new UsageError(`must be a whole number from ${min} ${most}`)
  }
}

/**
 * @template {string} Name
 * @param {readonly Name[]} names
 * @returns {(text: string) => Name}
 */
export function oneOf(names) {
  return (text) => {
    const found = names.find((name) => name === text)
    if (found === undefined) throw new UsageError(`must be one of ${names.join(', ')}`)
    return found
  }
}

/**
 * Names with commas between them.
 * @template {string} Name
 * @param {readonly Name[]} names
 * @returns {(text: string) => readonly Name[]}
 */
export function someOf(names) {
  const one = oneOf(names)
  return (text) => text.split(',').map(one)
}
