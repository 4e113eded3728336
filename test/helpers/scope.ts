import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * What something lives as long as: a test's context, or `{ after }` of node:test for the whole file
 * (`const redis = await startRedis({ after })` at the top level).
 */
export interface Scope {
  after(release: () => void | Promise<void>): void
}

/** A folder of its own for the scope's length. */
export function temporaryFolder(scope: Scope): string {
  const folder = createFolder()
  scope.after(() => removeFolder(folder))
  return folder
}

/**
 * A folder for something that must be stopped before the folder goes: node:test runs `after` hooks in the order of
 * their registration, so both belong into one hook.
 */
export function createFolder(): string {
  return mkdtempSync(join(tmpdir(), 'hotcakes-test-'))
}

export function removeFolder(folder: string): void {
  // Retries: a service that was killed a moment ago may still be writing its last file.
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}
