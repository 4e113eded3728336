import type { Config } from '../../core/config/load.ts'
import { type SettingValues, settingPlaces } from '../../core/config/settings.ts'

/**
 * The settings that only HTTP workers read, each for itself: new workers can have new values beside old ones. All others
 * are the primary's or the persister's, or would make two workers of one server disagree.
 */
const names: ReadonlySet<string> = new Set([
  'APP_ITEM_NUMBER',
  'APP_USER_LIMIT',
  'APP_HOLD_SECONDS',
  'APP_ACK',
  'APP_DEADLINE_MS',
  'APP_CONNECTIONS_MAX',
  'APP_CONNECTIONS_PER_ADDRESS_MAX',
  'APP_RATE_LIMIT_PER_SECOND',
  'APP_ALLOWED_ORIGINS',
  'UWS_HTTP_MAX_HEADERS_SIZE',
  'APP_LOG_BACKLOG_MAX',
  'LOG_LEVEL',
])

/**
 * What a reload makes of the settings of now: the configuration in force with the values that may change.
 * @returns `kept`: the variables that have changed as well and take effect at the next start only
 */
export function reloadable(inForce: Config, now: Config): { config: Config; kept: string[] } {
  const config = { ...inForce } as Record<string, unknown>
  const kept: string[] = []
  for (const { group, name, setting } of settingPlaces) {
    if (isIgnored(inForce, group) || valueOf(now, group, name) === valueOf(inForce, group, name)) continue
    if (names.has(setting.env)) config[group] = { ...(config[group] as object), [name]: valueOf(now, group, name) }
    else kept.push(setting.env)
  }
  return { config: config as unknown as Config, kept }
}

/** The connection to an embedded service is not what the settings say. */
function isIgnored(config: Config, group: string): boolean {
  return (group === 'db' && config.db.embedded) || (group === 'redis' && config.redis.embedded)
}

function valueOf(config: Config, group: string, name: string): unknown {
  return (config[group as keyof SettingValues] as Record<string, unknown>)[name]
}
