import { redisFault } from './connection.ts'
import type { SaleStore } from './sale-store.ts'

export type KeptSetting = Parameters<SaleStore['keep']>[0]

/** The value that some server keeps, without keeping one; undefined: none does. @throws Fault */
export async function keptSetting(store: SaleStore, name: KeptSetting): Promise<number | undefined> {
  const { nowMs } = await store.logState()
  const field = await store.redis.hget(store.keys.sales, name).catch((error: unknown) => {
    throw redisFault(error)
  })
  const [value, until] = (field ?? '').split(':').map(Number)
  return value !== undefined && until !== undefined && until > nowMs ? value : undefined
}
