import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** In the order in which they are joined: a file may use what the files before it define. */
const fileNames = [
  'shared.lua',
  'rights.lua',
  'sale.lua',
  'batch.lua',
  'rules.lua',
  'decide.lua',
  'mark.lua',
  'admission.lua',
  'settling.lua',
  'reading.lua',
] as const

interface LibraryFile {
  readonly name: (typeof fileNames)[number]
  readonly text: string
}

/** The files of the Redis library. Their headers are the contract: keys, layouts, arguments, results. */
export const libraryFiles: readonly LibraryFile[] = fileNames.map((name) => {
  return { name, text: readFileSync(new URL(`./functions/${name}`, import.meta.url), 'utf8') }
})

const joined = libraryFiles.map(({ text }) => text).join('')
const digest = createHash('sha256').update(joined).digest('hex').slice(0, 12)

/** Carries the digest of all files: a new version is another library, and both can serve during an upgrade. */
export const libraryName = `hotcakes_${digest}`

/** What Redis loads. */
export const librarySource = joined.replaceAll('@LIBRARY@', libraryName)

/** An error message of Redis, which names lines of the joined source, with each as `decide.lua:57` instead. */
export function withLinesOfFiles(message: string): string {
  return message.replaceAll(/\buser_function:(\d+)/g, (place, line: string) => fileLine(Number(line)) ?? place)
}

function fileLine(line: number): string | undefined {
  let linesBefore = 0
  for (const { name, text } of libraryFiles) {
    const lines = text.split('\n').length - 1
    if (line <= linesBefore + lines) return `${name}:${line - linesBefore}`
    linesBefore += lines
  }
  return undefined
}
