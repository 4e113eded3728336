import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UsageError } from '../../core/command-line.mjs'
import { compiled } from './server-under-test.ts'

/** Compiled programs of one version. */
export interface Programs {
  readonly server: string
  readonly audit: string
  readonly reload: string
}

/**
 * @param folder a built checkout of another version; undefined: this one
 * @throws UsageError when the folder holds no built hotcakes
 */
export function programsOf(folder?: string): Programs {
  if (folder === undefined)
    return {
      server: compiled('../../server/primary/main.js'),
      audit: compiled('../../ops/tools/audit/main.js'),
      reload: compiled('../../ops/tools/reload/main.js'),
    }
  // The second name of each is that of 2026-11 and before.
  const first = (...files: string[]): string => {
    const found = files.map((file) => join(resolve(folder), 'dist', file)).find((file) => existsSync(file))
    if (found === undefined) throw new UsageError(`${folder} is no checkout that was built: npm run build makes it one`)
    return found
  }
  return {
    server: first('server/primary/main.js', 'server/primary-main.js'),
    audit: first('ops/tools/audit/main.js', 'ops/audit/main.js'),
    reload: first('ops/tools/reload/main.js', 'ops/reload/main.js'),
  }
}
