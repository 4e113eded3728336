import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Report } from '../report/report.ts'
import { readReport } from '../report/store.ts'

/** Which stored reports the documents show, by file name: a list in the folder, so that a run alone changes nothing. */
const listName = 'published.json'

export function publishedFiles(folder: string): string[] {
  const list = join(folder, listName)
  return existsSync(list) ? (JSON.parse(readFileSync(list, 'utf8')) as string[]) : []
}

/** @throws Error that names the file that is missing or is no report */
export function publishedReports(folder: string): Report[] {
  return publishedFiles(folder).map((name) => readReport(join(folder, name)))
}

/** Puts reports into the list, each instead of the one of its scenario. @throws Error when one is not in the folder */
export function publish(folder: string, files: readonly string[]): void {
  const byScenario = new Map(publishedFiles(folder).map((name) => [readReport(join(folder, name)).scenario, name]))
  for (const file of files) {
    const name = basename(file)
    byScenario.set(readReport(join(folder, name)).scenario, name)
  }
  writeFileSync(join(folder, listName), `${JSON.stringify([...byScenario.values()], undefined, 2)}\n`)
}
