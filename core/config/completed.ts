import type { Config } from './load.ts'
import { settingPlaces } from './settings.ts'

/** A version before shards has one. */
const firstShardAlone = 1

/**
 * What a child gets from its primary. In a reload that may be one of the version before, which doesn't know the newest
 * settings: they have their defaults then.
 */
export function completed(config: Config): Config {
  const groups = config as unknown as Readonly<Record<string, Readonly<Record<string, unknown>>>>
  const filled: Record<string, Record<string, unknown>> = {}
  for (const { group, name, setting } of settingPlaces) {
    const members = (filled[group] ??= { ...groups[group] })
    members[name] ??= setting.default
  }
  const { shardCount }: Partial<Config> = config
  return { ...config, ...filled, shardCount: shardCount ?? firstShardAlone }
}
