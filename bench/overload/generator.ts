import { type ChildProcess, fork } from 'node:child_process'
import { firstMessage } from '../harness/first-message.ts'
import { compiled } from '../harness/server-under-test.ts'
import type { FromGenerator, Opening, ToGenerator } from './generator-process.ts'
import type { Phase } from './phase-record.ts'

export type Ran = Extract<FromGenerator, { type: 'ran' }>

/** The generator's process. */
export class Generator {
  readonly #child: ChildProcess

  static async start(): Promise<Generator> {
    const child = fork(compiled('../overload/generator-process.js'), { execArgv: [] })
    await firstMessage(child)
    return new Generator(child)
  }

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  open(opening: Opening): void {
    this.#tell({ type: 'open', ...opening })
  }

  /** @throws when it ended before its time */
  run(phases: readonly Phase[], onPhase: (name: string) => void): Promise<Ran> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the generator ended before its time'))
      const listen = (message: FromGenerator): void => {
        if (message.type === 'phase') onPhase(message.name)
        if (message.type !== 'ran') return
        child.off('message', listen).off('exit', ended)
        resolve(message)
      }
      child.on('message', listen).once('exit', ended)
      this.#tell({ type: 'run', phases })
    })
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }

  #tell(message: ToGenerator): void {
    this.#child.send(message)
  }
}
