// @ts-check
// Plain JavaScript, because set-up asks for REDIS_HOST before anything is compiled.

import { readFileSync } from 'node:fs'

import dotenv from 'dotenv'

/**
 * The variables in a file of settings, which need not exist. dotenv and not Node's own `parseEnv`: of 50 ways to write such
 * a file that one read 14 in another way (Node.js 20.20), among them tabs before a name, the byte order mark of editors on
 * Windows, and lines that are no setting.
 * @param {string} path
 * @returns {Record<string, string>}
 */
export function readDotenv(path) {
  let text
  try {
    text = readFileSync(path)
  } catch (error) {
    // Only this one means that there is none: a file that can't be reached would otherwise be settings that nobody reads.
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return {}
    throw error
  }
  return dotenv.parse(text)
}
