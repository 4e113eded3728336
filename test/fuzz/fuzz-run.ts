import { type Attempt, drawAttempt } from './attempt.ts'
import { Conversation, patienceMsUsual } from './conversation.ts'
import { Limbo } from './limbo.ts'

/** Of the connections that are silent, or were answered, so many are left to the server to close. */
const leftOpen = 10
const failuresMax = 20
/**
 * Where silence is an answer as well it is waited for so many times as long as an answer takes just now that must come: what
 * refuses is no slower, and on a busy machine both take long.
 */
const patienceAnswers = 4
/** A machine that stands still for a moment makes nobody wait for longer. */
const patienceMsMax = 2_000
/** Of the newest answer among those before it. */
const newestShare = 0.1

export interface FuzzRunOptions {
  readonly port: number
  readonly sale: number
  readonly seed: number
  /** The number of the first attempt. */
  readonly from: number
  /** At once, each on a connection of its own. */
  readonly connections: number
  readonly signal?: AbortSignal
}

export interface Failure {
  readonly attempt: Attempt
  readonly what: string
}

/** Makes the attempts, each as soon as a connection is free for it, and judges what comes of each. */
export class FuzzRun {
  readonly failures: Failure[] = []
  /** Kind -> attempts. */
  readonly kinds = new Map<string, number>()
  /** Status -> answers, as far as clients waited for them; 0: none came. */
  readonly answers = new Map<number, number>()
  readonly #options: FuzzRunOptions
  readonly #limbo = new Limbo()
  #next: number
  /** That an answer takes just now. */
  #answerMs = 0

  constructor(options: FuzzRunOptions) {
    this.#options = options
    this.#next = options.from
  }

  get done(): number {
    return this.#next - this.#options.from
  }

  /** Makes so many more attempts. */
  async make(attempts: number): Promise<void> {
    const end = this.#next + attempts
    await Promise.all(Array.from({ length: this.#options.connections }, () => this.#lane(end)))
  }

  /** Waits until the server has closed what was left to it. */
  async finish(): Promise<void> {
    this.#addOverdue(await this.#limbo.empty())
  }

  async #lane(end: number): Promise<void> {
    const { seed, sale, port } = this.#options
    let kept: Conversation | undefined
    while (this.#goesOn(end)) {
      const attempt = drawAttempt(seed, this.#next++, sale)
      if (kept !== undefined && (kept.isClosed || !attempt.staysOn)) {
        kept.destroy()
        kept = undefined
      }
      const conversation = kept ?? (await Conversation.open(port))
      const what = await this.#take(conversation, attempt)
      this.#count(attempt, conversation)
      if (what === undefined) kept = this.#after(attempt, conversation)
      else {
        this.failures.push({ attempt, what })
        conversation.destroy()
        kept = undefined
      }
    }
    kept?.destroy()
  }

  async #take(conversation: Conversation, attempt: Attempt): Promise<string | undefined> {
    const startedMs = performance.now()
    const patienceMs = Math.min(patienceMsMax, Math.max(patienceMsUsual, patienceAnswers * this.#answerMs))
    const what = await conversation.take(attempt, patienceMs)
    if (attempt.expects === 'answer' && !attempt.leaves)
      this.#answerMs += newestShare * (performance.now() - startedMs - this.#answerMs)
    return what
  }

  #goesOn(end: number): boolean {
    return this.#next < end && this.#options.signal?.aborted !== true && this.failures.length < failuresMax
  }

  /** A connection that had one request and one answer is good for another one. */
  #after(attempt: Attempt, conversation: Conversation): Conversation | undefined {
    if (conversation.isClosed) return undefined
    if (attempt.expects === 'answer' && !attempt.leaves) return conversation
    if (attempt.number % leftOpen === 0 && this.#limbo.hasRoom) this.#limbo.keep(conversation, attempt)
    else conversation.destroy()
    this.#addOverdue(this.#limbo.overdue())
    return undefined
  }

  #addOverdue(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) this.failures.push({ attempt, what: 'still open long after the last request' })
  }

  #count(attempt: Attempt, { statuses }: Conversation): void {
    const kind = attempt.kind.replace(/:.*/, '')
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1)
    for (const status of statuses.length === 0 ? [0] : statuses) {
      this.answers.set(status, (this.answers.get(status) ?? 0) + 1)
    }
  }
}
