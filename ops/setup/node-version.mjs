// Imported first by every entry: an unfit Node.js would fail later, with a message about something else.

import { fileURLToPath } from 'node:url'

/**
 * Not 24: both builds of uWebSockets.js for it in the registry, which also need glibc 2.38, keep a client that asks and does
 * not read. 200,000 pipelined requests of one such client took everybody's time for 8 s or more and up to 93 MB, and it was
 * there after 45 s; the build that we use closes it within a second. They do the same on Node.js 22, so it is theirs. One
 * of them also closes silent clients only after 31 s. And they are 115 and 260 MB.
 * @param {string} version as `process.version`
 * @returns {{ refusal?: string, notice?: string }}
 */
export function judgeNode(version) {
  const [major, minor] = version.slice(1).split('.').map(Number)
  if (major > 22) {
    const reason =
      'with the builds of uWebSockets.js for newer ones a client that does not read keeps everybody waiting'
    return { refusal: `hotcakes needs Node.js 22 (or 20.19): ${reason}` }
  }
  if (major < 20 || (major === 20 && minor < 19)) return { refusal: 'hotcakes needs Node.js 22 (or 20.19)' }
  if (major < 22) return { notice: `Node.js ${major} works, but gets no security fixes any more: use Node.js 22` }
  return {}
}

const { refusal, notice } = judgeNode(process.version)
if (refusal !== undefined) {
  process.stderr.write(`${refusal}; this is ${process.version} (${process.execPath})\n`)
  process.exit(1)
}
if (notice !== undefined && process.argv[1]?.startsWith(fileURLToPath(new URL('.', import.meta.url)))) {
  process.stderr.write(`hotcakes: ${notice}\n`)
}
