// The persister's program, except that it dies at a step of its drain: see die-at.ts.
import { PersisterProcess } from '../../workers/persister-process.ts'
import { dieAtStep } from './die-at.ts'

const copyThread = new URL('./copy-thread-that-dies.js', import.meta.url)
new PersisterProcess({ copyThread, reached: dieAtStep() }).listen()
