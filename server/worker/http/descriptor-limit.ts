import { readFileSync } from 'node:fs'

import { fileDescriptorsReserved } from '../limits.ts'

/**
 * Connections that this process can have: `max`, or less where the system lets it open fewer files. With none left
 * accept() fails, the socket stays readable, and the event loop would turn without a pause; so the last ones are kept.
 */
export function connectionsPossible(max: number): number {
  return Math.min(max, Math.max(1, openFilesMax() - fileDescriptorsReserved))
}

function openFilesMax(): number {
  const line = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
  return line === null ? Number.POSITIVE_INFINITY : Number(line[1])
}
