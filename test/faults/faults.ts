import type { FaultKind } from './fault-kind.ts'
import { processFaults } from './process-faults.ts'

const kinds = { ...processFaults }

export type FaultName = keyof typeof kinds

/** Everything that can be done to a sale. */
export const faults: Readonly<Record<FaultName, FaultKind>> = kinds
export const faultNames = Object.keys(faults) as FaultName[]
