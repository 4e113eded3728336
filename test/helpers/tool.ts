import { spawn } from 'node:child_process'

import { endsWithUs } from './ends-with-us.ts'
import { createFolder, removeFolder } from './scope.ts'

export interface ToolRun {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a compiled program as a user would, in a folder without a .env file, to its end.
 * @param onStderr is told all of stderr so far, whenever there is more
 */
export async function runTool(
  executable: string,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
  onStderr?: (text: string) => void,
): Promise<ToolRun> {
  const folder = createFolder()
  try {
    const child = spawn(...endsWithUs('KILL', process.execPath, [executable, ...args]), {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text))
    }
    child.stderr.on('data', () => onStderr?.(output.stderr))
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    return { status, ...output }
  } finally {
    removeFolder(folder)
  }
}
