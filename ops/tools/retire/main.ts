// `npm run retire`: see command.ts for what it takes and answers.

import { runRetire } from './program.ts'
import { unwatched } from './steps.ts'

// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(await runRetire(process.argv.slice(2), unwatched))
