/** The kinds of values a setting can have: how their text is read, and what is allowed. */

import { nodesAllowed, nodesProblem } from './cluster-nodes.ts'
import { hostProblem } from './host-problem.ts'
import { hintFor, shown, wrappingHint } from './pasted.ts'

interface Described {
  /** Name of the environment variable. */
  readonly env: string
  /** One or more sentences, for `--help` and `.env.example`. */
  readonly doc: string
  /** A value that is never shown: not in a log line, not in an error. */
  readonly sensitive?: boolean
  /**
   * A reload takes it, for HTTP workers: each reads it for itself, so new workers may have a new value beside old ones. The
   * primary keeps what it began with (the log's level), a persister until it is replaced. Without this a setting is theirs, or two
   * workers of one server would disagree.
   */
  readonly reload?: true
  /** The variable of the host to which it belongs: while that is not set, an embedded server is used and this has no effect. */
  readonly needsHost?: 'DB_HOST' | 'REDIS_HOST'
  /** Of those that need REDIS_HOST: with REDIS_CLUSTER it has no effect either. */
  readonly isOfOneHost?: true
}

interface IntegerSetting extends Described {
  readonly format: 'hotcakes-integer'
  readonly default: number
  readonly min: number
  readonly max: number
  readonly unit?: string
  /** What the default means where the number itself does not say it. */
  readonly defaultMeans?: string
}

interface BooleanSetting extends Described {
  readonly format: 'hotcakes-boolean'
  readonly default: boolean
}

interface ChoiceSetting extends Described {
  readonly format: 'hotcakes-choice'
  readonly default: string
  readonly choices: readonly string[]
  /** What others write, in small letters, and the choices that say the same here. */
  readonly meant?: Readonly<Record<string, string>>
}

interface HostSetting extends Described {
  readonly format: 'hotcakes-host'
  readonly default: string
  readonly defaultMeans?: string
  /** The variable of the port. */
  readonly portEnv: string
  /** A directory is taken as well: libpq looks for a Unix socket in it. */
  readonly isFolderTaken?: boolean
}

interface NodesSetting extends Described {
  readonly format: 'hotcakes-nodes'
  readonly default: string
  readonly defaultMeans?: string
}

interface PathSetting extends Described {
  readonly format: 'hotcakes-path'
  readonly default: string
  readonly defaultMeans?: string
}

interface TextSetting extends Described {
  readonly format: 'hotcakes-text'
  readonly default: string
  readonly pattern: RegExp
  /** `pattern` in words. */
  readonly allowed: string
  readonly defaultMeans?: string
}

export type Setting =
  | IntegerSetting
  | BooleanSetting
  | ChoiceSetting
  | HostSetting
  | NodesSetting
  | PathSetting
  | TextSetting
export type SettingValue = string | number | boolean

const booleans: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  1: true,
  0: false,
  yes: true,
  no: false,
  on: true,
  off: false,
}

/** The value that the text stands for; the text itself where it stands for none, for `problemOf` to name. */
export const coercions: Readonly<Record<Setting['format'], (text: string) => SettingValue>> = {
  // Number() alone would take '', '1e3' and '0x10' as well; 15 digits are exact in a double.
  'hotcakes-integer': (text) => (/^-?\d{1,15}$/.test(text) ? Number(text) : text),
  'hotcakes-boolean': (text) => booleans[text.toLowerCase()] ?? text,
  'hotcakes-choice': (text) => text.toLowerCase(),
  'hotcakes-host': (text) => text,
  'hotcakes-nodes': (text) => text,
  'hotcakes-path': (text) => text,
  'hotcakes-text': (text) => text,
}

/** What a value of this setting may be, in words. */
export function allowedValues(setting: Setting): string {
  switch (setting.format) {
    case 'hotcakes-integer':
      return `an integer from ${setting.min} to ${setting.max}${setting.unit === undefined ? '' : ` (${setting.unit})`}`
    case 'hotcakes-boolean':
      return 'true or false'
    case 'hotcakes-choice':
      return `one of ${setting.choices.join(', ')}`
    case 'hotcakes-host':
      return `a host name or an IP address${setting.isFolderTaken === true ? ', or the folder of a Unix socket' : ''}`
    case 'hotcakes-nodes':
      return nodesAllowed
    case 'hotcakes-path':
      return 'a path of at most 1024 characters'
    case 'hotcakes-text':
      return setting.allowed
  }
}

/** What is wrong with the value, as a sentence that names the variable; `undefined` when nothing is. */
export function problemOf(setting: Setting, value: unknown): string | undefined {
  if (value === setting.default || isAllowed(setting, value)) return undefined
  const must = `${setting.env} must be ${allowedValues(setting)}`
  if (isSecret(setting)) return `${must}, not what it is (not shown: it is a secret)`
  const text = String(value)
  if (setting.format === 'hotcakes-host') return `${must}: ${problemOfHost(setting, text)}`
  if (setting.format === 'hotcakes-nodes') return `${must}: ${nodesProblem(text)}`
  const hint = hintFor(setting, text)
  return `${must}, not ${shown(text)}${hint === undefined ? '' : `: ${hint}`}`
}

function problemOfHost({ env, portEnv, isFolderTaken = false }: HostSetting, text: string): string | undefined {
  return hostProblem(text, { env, portEnv, isFolderTaken })
}

function isSecret({ sensitive = false }: Setting): boolean {
  return sensitive
}

/** A secret may begin and end with a quote. */
function isWrapped(text: string): boolean {
  return wrappingHint(text) !== undefined
}

function isAllowed(setting: Setting, value: unknown): boolean {
  switch (setting.format) {
    case 'hotcakes-integer':
      return typeof value === 'number' && Number.isInteger(value) && value >= setting.min && value <= setting.max
    case 'hotcakes-boolean':
      return typeof value === 'boolean'
    case 'hotcakes-choice':
      return typeof value === 'string' && setting.choices.includes(value)
    case 'hotcakes-host':
      return typeof value === 'string' && problemOfHost(setting, value) === undefined
    case 'hotcakes-nodes':
      return typeof value === 'string' && nodesProblem(value) === undefined
    case 'hotcakes-path':
      return typeof value === 'string' && /^[^\p{Cc}]{1,1024}$/u.test(value) && hintFor(setting, value) === undefined
    case 'hotcakes-text':
      return typeof value === 'string' && setting.pattern.test(value) && (isSecret(setting) || !isWrapped(value))
  }
}
