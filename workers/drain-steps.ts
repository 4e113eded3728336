/** The moments of one drain step that differ in what a crash leaves behind, in their order. */
export const drainSteps = ['after_offset', 'after_copy', 'after_commit', 'before_trim', 'after_trim'] as const

export type DrainStep = (typeof drainSteps)[number]
export type StepHook = (step: DrainStep) => void

/**
 * For fault tests: a hook that ends this process at once, as a crash would, when it gets to the step that `setting`
 * names. Without a setting it does nothing.
 */
export function dieAt(setting: string | undefined): StepHook {
  if (setting === undefined || setting === '') return () => undefined
  if (!(drainSteps as readonly string[]).includes(setting)) throw new Error(`no drain step is named ${setting}`)
  return (step) => {
    if (step === setting) process.kill(process.pid, 'SIGKILL')
  }
}
