import { clockFaults } from './clock-faults.ts'
import { clusterFaults } from './cluster-faults.ts'
import { diskFaults } from './disk-faults.ts'
import type { FaultKind } from './fault-kind.ts'
import { lossFaults } from './loss-faults.ts'
import { moveFaults } from './move-faults.ts'
import { networkFaults } from './network-faults.ts'
import { processFaults } from './process-faults.ts'
import { recordFaults } from './record-faults.ts'

const kinds = {
  ...processFaults,
  ...networkFaults,
  ...diskFaults,
  ...recordFaults,
  ...clockFaults,
  ...lossFaults,
  ...clusterFaults,
  ...moveFaults,
}

export type FaultName = keyof typeof kinds

/** Everything that can be done to a sale. */
export const faults: Readonly<Record<FaultName, FaultKind>> = kinds
export const faultNames = Object.keys(faults) as FaultName[]
