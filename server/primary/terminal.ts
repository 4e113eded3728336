import { closeSync, constants, openSync } from 'node:fs'

/** Whether this process has a controlling terminal, and that is still there: what /dev/tty stands for. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NOCTTY))
    return true
  } catch {
    return false // none, or it was closed
  }
}
