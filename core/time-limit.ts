/**
 * Calls back `ms` from now, when what has come by then is read. After a standstill of the process, timers run before its
 * sockets and pipes are looked at: an answer that lies there would pass for one that never came.
 * @returns ends it, also between the two
 */
export function startTimeLimit(ms: number, onOver: () => void): () => void {
  let afterReading: NodeJS.Immediate | undefined
  const timer = setTimeout(() => {
    afterReading = setImmediate(onOver)
  }, ms)
  return () => {
    clearTimeout(timer)
    clearImmediate(afterReading)
  }
}
