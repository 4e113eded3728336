import type { SaleStore } from '../../core/redis/sale-store.ts'
import { eventually } from './eventually.ts'

/** As the primary does with a run of Redis that it found to have everything; again where the connection is lost. */
export async function admitRun(store: SaleStore): Promise<void> {
  const isAdmitted = async () => {
    if (!store.isUp) return false
    const { epoch = 0, recordId = 'of a test' } = await store.logState()
    await store.admit({ run: store.run, epoch, recordId })
    return true
  }
  await eventually(isAdmitted, { what: 'the admission of a run of Redis' })
}
