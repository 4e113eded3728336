import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectRoot } from './machine.ts'
import { parseReport, type Report, type ReportHead } from './report.ts'

/** bench/reports, wherever the compiled code stands. */
export function reportsFolder(): string {
  return fileURLToPath(new URL('bench/reports/', projectRoot()))
}

/** `<scenario>-<start>-<commit>[-<label>]`, without an ending. */
export function reportName({ scenario, startedAt, machine, label }: ReportHead): string {
  const start = startedAt.slice(0, 19).replaceAll(/[-:]/g, '')
  return [scenario, `${start}Z`, machine.commit.slice(0, 7), ...(label === undefined ? [] : [label])].join('-')
}

/** Numbers that only fill the file are rounded away. @returns where it was written */
export function writeReport(folder: string, report: Report): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${reportName(report)}.json`)
  writeFileSync(file, `${compact(report)}\n`)
  return file
}

/** @throws Error that names the file and what is wrong with it */
export function readReport(file: string): Report {
  try {
    return parseReport(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new Error(`${basename(file)} can't be read: ${(cause as Error).message}`, { cause })
  }
}

/** Indented, but for columns of numbers: a timeline of an hour is eight lines and not 29,000. */
function compact(report: Report): string {
  return JSON.stringify(report, rounded, 2).replaceAll(/\[[\d\s.,-]*\]/g, (column) => column.replaceAll(/\s+/g, ''))
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toFixed(3)) : value
}
