import type { SaleStore } from '../../core/redis/sale-store.ts'
import { eventually } from './eventually.ts'

/** As the primary does with a run of Redis that it found to have everything. Waits for the connection to it. */
export async function admitRun(store: SaleStore): Promise<void> {
  await eventually(() => store.isUp, { what: 'a connection to Redis' })
  const { epoch = 0, recordId = 'of a test' } = await store.logState()
  await store.admit({ run: store.run, epoch, recordId })
}
