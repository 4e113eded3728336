// The commands of a document, run as they stand there.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

interface Chapter {
  readonly path: string
  readonly heading: string
}

/** What stands under a heading, up to the next one of its level or above; a comment in a block of code is no heading. */
export function documentedChapter({ path, heading }: Chapter): readonly string[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  let level = 0
  let isCode = false
  const chapter: string[] = []
  for (const line of lines) {
    if (line.trimStart().startsWith('```')) isCode = !isCode
    const [, hashes = '', title] = (!isCode && /^(#+) (.+)$/.exec(line)) || []
    if (level > 0 && hashes !== '' && hashes.length <= level) break
    if (level > 0) chapter.push(line)
    else if (title === heading) level = hashes.length
  }
  assert.ok(level > 0, `${path} has the heading ${heading}`)
  return chapter
}

/** The block of shell commands under a heading. @param block which one, from 0 */
export function documentedCommands(chapter: Chapter, block = 0): string {
  const text = documentedChapter(chapter).join('\n')
  const blocks = [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)]
  const commands = blocks[block]?.[1]
  assert.ok(commands !== undefined, `${chapter.path} has ${block + 1} blocks of commands under ${chapter.heading}`)
  return commands
}

/**
 * Runs shell commands in the project's folder, to the first that fails. Answers what they have printed.
 * @param env the variables that they name, and passwords
 */
export async function runCommands(commands: string, env: Readonly<Record<string, string>>): Promise<string> {
  const child = spawn('sh', ['-eu'], { env: { PATH: process.env['PATH'] ?? '', ...env } })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text))
  child.stdin.end(commands)
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  assert.equal(status, 0, `${commands}\n${output.stderr}`)
  return output.stdout
}

/** As they stand in a document. */
export async function runDocumented(
  chapter: Chapter & { readonly block?: number },
  env: Readonly<Record<string, string>>,
): Promise<string> {
  return await runCommands(documentedCommands(chapter, chapter.block), env)
}
