import type { PostgresSettings } from './conninfo.ts'

export interface SchemaSettings extends PostgresSettings {
  /** Who owns the tables; '' when that is `user`. */
  readonly ownerUser: string
  readonly ownerPassword: string
}

/** To connect as the owner of the tables. */
export function asOwner(settings: SchemaSettings): PostgresSettings {
  const { ownerUser, ownerPassword } = settings
  return ownerUser === '' ? settings : { ...settings, user: ownerUser, password: ownerPassword }
}
