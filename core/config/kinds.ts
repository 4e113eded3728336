/** The kinds of values a setting can have: how their text is read, and what is allowed. */

interface Described {
  /** Name of the environment variable. */
  readonly env: string
  /** One or more sentences, for `--help` and `.env.example`. */
  readonly doc: string
  /** A value that is never shown: not in a log line, not in an error. */
  readonly sensitive?: boolean
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
}

interface TextSetting extends Described {
  readonly format: 'hotcakes-text'
  readonly default: string
  readonly pattern: RegExp
  /** `pattern` in words. */
  readonly allowed: string
  readonly defaultMeans?: string
}

export type Setting = IntegerSetting | BooleanSetting | ChoiceSetting | TextSetting
export type SettingValue = string | number | boolean

const booleans: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  1: true,
  0: false,
  yes: true,
  no: false,
}

/** The value that the text stands for; the text itself where it stands for none, for `problemOf` to name. */
export const coercions: Readonly<Record<Setting['format'], (text: string) => SettingValue>> = {
  // Number() alone would take '', '1e3' and '0x10' as well; 15 digits are exact in a double.
  'hotcakes-integer': (text) => (/^-?\d{1,15}$/.test(text) ? Number(text) : text),
  'hotcakes-boolean': (text) => booleans[text.toLowerCase()] ?? text,
  'hotcakes-choice': (text) => text,
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
    case 'hotcakes-text':
      return setting.allowed
  }
}

/** What is wrong with the value, as a sentence that names the variable; `undefined` when nothing is. */
export function problemOf(setting: Setting, value: unknown): string | undefined {
  if (value === setting.default || isAllowed(setting, value)) return undefined
  const shown = setting.sensitive === true ? 'what it is (not shown: it is a secret)' : JSON.stringify(String(value))
  return `${setting.env} must be ${allowedValues(setting)}, not ${shown}`
}

function isAllowed(setting: Setting, value: unknown): boolean {
  switch (setting.format) {
    case 'hotcakes-integer':
      return typeof value === 'number' && Number.isInteger(value) && value >= setting.min && value <= setting.max
    case 'hotcakes-boolean':
      return typeof value === 'boolean'
    case 'hotcakes-choice':
      return typeof value === 'string' && setting.choices.includes(value)
    case 'hotcakes-text':
      return typeof value === 'string' && setting.pattern.test(value)
  }
}
