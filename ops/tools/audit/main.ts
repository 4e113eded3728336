// `npm run audit`: the assembly point. See command.ts for what it takes and answers.

import { runCommand, type Values } from '../../../core/command-line.mjs'
import { loadConfig } from '../../../core/config/load.ts'
import { Fault } from '../../../core/faults.ts'
import { failureText } from '../failure-text.ts'
import { WholeFile } from '../whole-files.ts'
import { auditCommand, exitStatus } from './command.ts'
import { reportAsJson, reportAsText } from './report.ts'
import { runAudit } from './run.ts'

type Asked = Values<typeof auditCommand.options>

const args = process.argv.slice(2)
const status = await runCommand(auditCommand, args, main, ({ message }) => {
  if (args.includes('--json')) process.stdout.write(failureAsJson(null, message))
})
// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(status)

async function main(asked: Asked): Promise<number> {
  try {
    const config = loadConfig({ env: process.env, dotenvFile: '.env' })
    const report = await runAudit(config, asked, say)
    process.stdout.write(asked.json ? reportAsJson(report) : reportAsText(report))
    return (await tryToWrite(asked.out, reportAsJson(report))) ? exitStatus[report.verdict] : exitStatus.failed
  } catch (error) {
    say(failureText(error))
    const failure = failureAsJson(error instanceof Fault ? error.code : null, (error as Error).message)
    if (asked.json) process.stdout.write(failure)
    await tryToWrite(asked.out, failure)
    return exitStatus.failed
  }
}

/** For machines. */
function failureAsJson(code: string | null, message: string): string {
  return `${JSON.stringify({ verdict: 'failed', fault: { code, message } })}\n`
}

/** Whoever reads the file later must not take an older report for this one: that it could not be written is a failure. */
async function tryToWrite(path: string | undefined, text: string): Promise<boolean> {
  if (path === undefined) return true
  try {
    const file = await WholeFile.create(path)
    try {
      await file.write(text)
      await file.finish({ replace: true })
    } catch (error) {
      await file.discard()
      throw error
    }
    return true
  } catch (error) {
    say(`the report can't be written to ${path}: ${(error as Error).message}`)
    return false
  }
}

/** Progress and complaints go to stderr: stdout has the report and nothing else. */
function say(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'hotcakes audit: ')}\n`)
}
