/** The moments of one drain step that differ in what a crash leaves behind, in their order. */
export const drainSteps = ['after_offset', 'after_copy', 'after_commit', 'before_trim', 'after_trim'] as const

export type DrainStep = (typeof drainSteps)[number]

/** Called at each step, in the thread that takes it: the first three in the copy thread. */
export type StepHook = (step: DrainStep) => void

/** For a persister that nobody watches. */
export const unwatched: StepHook = () => undefined
