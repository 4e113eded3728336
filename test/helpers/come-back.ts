import type { SaleStore } from '../../core/redis/sale-store.ts'
import { admitRun } from './admit-run.ts'
import { eventually } from './eventually.ts'
import type { ClusterProcess } from './redis-cluster.ts'

/** The shard's master, with all it had, and admitted, as a primary does it. */
export async function comeBack(node: ClusterProcess, store: SaleStore): Promise<void> {
  await node.start()
  const isAdmitted = async () => {
    if (!store.isUp) await store.connect()
    await admitRun(store)
    return true
  }
  await eventually(isAdmitted, { what: 'the shard' })
}
