import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'

/** Every key with what it holds and its expiry. @param admin may use all commands */
async function contentsOf(admin: Redis): Promise<Map<string, string>> {
  const keys = (await admin.keys('*')).toSorted((a, b) => (a < b ? -1 : 1))
  const values = keys.map(async (key) => `${await valueOf(admin, key)} ${await admin.expiretime(key)}`)
  const all = await Promise.all(values)
  return new Map(keys.map((key, n) => [key, all[n] ?? '']))
}

/** The bytes of a hash depend on what was read of it too, those of all else that we have only on what it holds. */
async function valueOf(admin: Redis, key: string): Promise<string> {
  if ((await admin.type(key)) !== 'hash') return (await admin.dumpBuffer(key))?.toString('hex') ?? ''
  const fields = Object.entries(await admin.hgetallBuffer(key))
  const texts = fields.map(([name, value]) => `${name}=${value.toString('hex')}`)
  return texts.toSorted((a, b) => (a < b ? -1 : 1)).join(' ')
}

/** That what is done meanwhile writes nothing in the whole database, which must be small. */
export async function assertNothingChanges(admin: Redis, act: () => Promise<unknown>): Promise<void> {
  const before = await contentsOf(admin)
  await act()
  assert.deepEqual(await contentsOf(admin), before)
}
