import { runCommand } from '../../core/command-line.mjs'

/** Where set-up stops with a message for people: the entries print it without a stack. */
export class SetupError extends Error {}

/** Progress goes to stderr: stdout belongs to what was asked for. */
export function say(text) {
  process.stderr.write(`hotcakes: ${text}\n`)
}

/** Runs an entry's main function; what set-up has to say ends the process with status 1. */
export async function runEntry(main) {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(error.message)
    process.exitCode = 1
  }
}

/**
 * The same for an entry that is a command of its own.
 * @template {import('../../core/command-line.mjs').Options} O
 * @param {import('../../core/command-line.mjs').Command<O>} command
 * @param {Parameters<typeof runCommand<O>>[2]} main
 */
export async function runCommandEntry(command, main) {
  await runEntry(async () => {
    process.exitCode = await runCommand(command, process.argv.slice(2), main)
  })
}
