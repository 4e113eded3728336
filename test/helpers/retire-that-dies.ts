// npm run retire, except that a step sends a signal to its own process: SIGKILL as a crash would, SIGTERM as a person would.
import { runRetire } from '../../ops/tools/retire/program.ts'

const { HOTCAKES_TEST_DIE_AT: chosen, HOTCAKES_TEST_SIGNAL: signal } = process.env

const status = await runRetire(process.argv.slice(2), (step) => {
  if (step === chosen) process.kill(process.pid, signal)
})
process.exit(status)
