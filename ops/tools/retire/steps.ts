/** The moments of retiring a day that differ in what a crash leaves behind, in their order. */
export const retireSteps = [
  'before_manifest',
  'archived',
  'locked',
  'verified',
  'counted',
  'dropped',
  'committed',
] as const

export type RetireStep = (typeof retireSteps)[number]

/** Called at each step. */
export type StepHook = (step: RetireStep) => void

export const unwatched: StepHook = () => undefined
