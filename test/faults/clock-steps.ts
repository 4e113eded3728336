/** By how many ms the wall clock of each kind of process is off. */
export interface ClockSteps {
  readonly http: number
  readonly persister: number
  readonly primary: number
}

/** How soon a process notices that its clock was stepped. */
export const clockPollMs = 20
