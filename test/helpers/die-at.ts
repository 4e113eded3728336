import { type DrainStep, drainSteps, type StepHook } from '../../workers/drain-steps.ts'

/** Names the step in the environment of a persister that is to die: its copy thread inherits it. */
const variable = 'HOTCAKES_TEST_DIE_AT'

export function dieAtEnv(step: DrainStep): Record<string, string> {
  return { [variable]: step }
}

/** Ends this process at once, as a crash would, at the step that the environment names. */
export function dieAtStep(): StepHook {
  const chosen = drainSteps.find((step) => step === process.env[variable])
  if (chosen === undefined) throw new Error(`${variable} names no drain step`)
  return (step) => {
    if (step === chosen) process.kill(process.pid, 'SIGKILL')
  }
}
