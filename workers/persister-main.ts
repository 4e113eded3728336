import { unwatched } from './drain-steps.ts'
import { PersisterProcess } from './persister-process.ts'

/** The program of the persister process. Forked by the primary; it reads nothing from the environment. */
const copyThread = new URL('./copy-thread.js', import.meta.url)
new PersisterProcess({ copyThread, reached: unwatched }).listen()
