import { Interrupts } from '../../core/interrupts.ts'

/** Exit status of a benchmark that was ended by Ctrl+C. */
const interruptedStatus = 130

/** @param measure gets what is aborted by Ctrl+C or SIGTERM: it stops what it has started, and throws. @returns an exit status */
export async function interruptible(measure: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController()
  const interrupts = new Interrupts({ onFirst: () => stop.abort(), onAgain: () => undefined })
  try {
    return await measure(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) throw error
    process.stderr.write('interrupted: all that was started is stopped\n')
    return interruptedStatus
  } finally {
    interrupts.close()
  }
}
