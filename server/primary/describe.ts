import { type Command, type Options, wrapped } from '../../core/command-line.mjs'
import type { Setting } from '../../core/config/kinds.ts'
import { allowedValues } from '../../core/config/kinds.ts'
import { secretFileNames } from '../../core/config/secret-files.ts'
import { settingPlaces } from '../../core/config/settings.ts'

const groupTitles: Readonly<Record<string, string>> = {
  app: 'The service',
  buyers: 'Buyers: who they are',
  db: 'PostgreSQL: the permanent record',
  redis: 'Redis: what is held and sold now',
  tracing: 'Tracing',
  log: 'Log',
}
/**
 * Redis and Postgres belong together: Postgres holds the offset up to which it has the log of *this* Redis. So
 * one of them embedded and the other not is fine, as long as the two stay together.
 */
const pairNote =
  'Without DB_HOST, REDIS_HOST and REDIS_CLUSTER, PostgreSQL and Redis run embedded, with their data in APP_DATA_DIR. ' +
  'One of them may be external and the other embedded, but the two belong together: PostgreSQL knows up to where it ' +
  'has the log of this Redis. Several machines can serve one sale only when both are external.'
const sourcesNote =
  'Settings come from the environment and from the file .env; where both name one, the environment wins. An empty ' +
  'value counts as not set. In .env, put quotes around a value with spaces or a #. A password may be in a file of its ' +
  `own, named by ${alternatives(secretFileNames)}. npm run reload takes new values of some settings, which say so; all ` +
  'others wait for the next start.'

export const startCommand = {
  name: 'npm start',
  purpose: `Brings everything up to date and starts the server.\n\n${sourcesNote}\n\n${pairNote}`,
  options: { envExample: { flag: 'env-example', doc: 'prints every setting at its default, to begin a .env with' } },
  notes: settingsText(),
  exits: {
    0: 'it was stopped in order, and nothing was left undone',
    1: 'it could not start, had to stop because of a fault, or left something undone: it says what',
    2: 'a setting is missing or not allowed, or wrong arguments',
    130: 'a second Ctrl+C ended it at once; 143 with SIGTERM',
  },
} satisfies Command<Options>

function settingsText(): string {
  const lines: string[] = []
  for (const [group, settings] of groups()) {
    lines.push(...(lines.length === 0 ? [] : ['']), groupTitles[group] ?? group)
    for (const setting of settings) {
      lines.push(`  ${setting.env}`, ...wrapped(setting.doc, '      '), ...wrapped(valueText(setting), '      '))
    }
  }
  return lines.join('\n')
}

/** The contents of `.env.example`: every setting, commented out, at its default. */
export function envExample(): string {
  const lines = [...wrapped('Copy to .env. Generated from core/config/settings.ts: a test keeps the two equal.', '# ')]
  lines.push('#', ...wrapped(sourcesNote, '# '), '#', ...wrapped(pairNote, '# '))
  for (const [group, settings] of groups()) {
    lines.push('', `# --- ${groupTitles[group] ?? group} ---`)
    for (const setting of settings) {
      lines.push('', ...wrapped(setting.doc, '# '))
      lines.push(...wrapped(valueText(setting), '# '))
      lines.push(`#${setting.env}=${setting.default}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function alternatives(names: readonly string[]): string {
  return new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(names)
}

function groups(): Map<string, Setting[]> {
  const byGroup = new Map<string, Setting[]>()
  for (const { group, setting } of settingPlaces) byGroup.set(group, [...(byGroup.get(group) ?? []), setting])
  return byGroup
}

function valueText(setting: Setting): string {
  const reload = setting.reload === true ? '; a reload takes it' : ''
  return `${allowedValues(setting)}; default: ${defaultText(setting)}${reload}`
}

function defaultText(setting: Setting): string {
  const means = 'defaultMeans' in setting ? setting.defaultMeans : undefined
  if (setting.default === '') return means ?? 'none'
  return means === undefined ? String(setting.default) : `${setting.default}, ${means}`
}
