import type { Config } from '../../core/config/load.ts'
import { type SettingValues, settingPlaces } from '../../core/config/settings.ts'

/**
 * What a reload makes of the settings of now: the configuration in force, with the values of the settings that a reload takes.
 * @returns `kept`: the variables that have changed as well and take effect at the next start only
 */
export function reloadable(inForce: Config, now: Config): { config: Config; kept: string[] } {
  const config = { ...inForce } as Record<string, unknown>
  const kept: string[] = []
  // The issuer of tokens changes as a whole: its new name or audience says nothing of the keys that stay.
  const isOtherIssuer = (['mode', 'keys'] as const).some((name) => now.buyers[name] !== inForce.buyers[name])
  for (const { group, name, setting } of settingPlaces) {
    if (isIgnored(inForce, group) || valueOf(now, group, name) === valueOf(inForce, group, name)) continue
    const stays = group === 'buyers' && isOtherIssuer
    if (setting.reload === true && !stays)
      config[group] = { ...(config[group] as object), [name]: valueOf(now, group, name) }
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
