import { hostname } from 'node:os'
import { Fault } from '../core/faults.ts'
import { compareLogPositions, type LogPosition } from '../core/log-position.ts'
import type { PersisterState } from '../core/redis/persister-state.ts'
import type { SaleStore } from '../core/redis/sale-store.ts'

/** Whether this process has said it. */
export function isOurs({ host, pid }: PersisterState): boolean {
  return host === hostname() && pid === process.pid
}

/**
 * What a persister that gets nothing into Postgres may end by: what another server's has said that is committed there. All that
 * this server has decided stands before the end that the log had when its drain was first in trouble.
 */
export class OthersDrain {
  readonly #store: Pick<SaleStore, 'logState' | 'run'>
  #end: LogPosition | undefined

  constructor(store: Pick<SaleStore, 'logState' | 'run'>) {
    this.#store = store
  }

  /** To be asked once the end is wanted, as often as one likes. `false` too where Redis doesn't say. */
  async hasReachedEnd(): Promise<boolean> {
    try {
      const { last, persister, admittedRun } = await this.#store.logState()
      // A Redis that was put in the master's place may lack what this server has decided, until it is compared with Postgres.
      if (admittedRun !== this.#store.run) return false
      this.#end ??= last
      // One that isn't active may have met a log that was lost, whose end is before what it has.
      if (persister?.state !== 'active' || isOurs(persister)) return false
      // Of a later epoch nobody here knows where the one before ended.
      return persister.position.epoch === this.#end.epoch && compareLogPositions(persister.position, this.#end) >= 0
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return false
    }
  }
}
