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
