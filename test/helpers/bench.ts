import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { endsWithUs } from './ends-with-us.ts'
import { type Scope, temporaryFolder } from './scope.ts'

export interface BenchEnd {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * A benchmark as a user would start it, in a folder of its own; ends with the scope.
 * @param name of its folder in bench/
 */
export function startBench(scope: Scope, name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const program = fileURLToPath(new URL(`../../bench/${name}/main.js`, import.meta.url))
  const child = spawn(...endsWithUs('TERM', process.execPath, [program, ...args]), {
    cwd: temporaryFolder(scope),
    env: { ...process.env, ...env },
  })
  scope.after(() => {
    child.kill('SIGTERM')
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close') as Promise<[number | null]>
  return { child, ended: async (): Promise<BenchEnd> => ({ exitCode: (await ended)[0], stdout, stderr }) }
}

export async function runBench(scope: Scope, name: string, args: readonly string[]): Promise<BenchEnd> {
  return await startBench(scope, name, args).ended()
}
