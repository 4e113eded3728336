import type { Config } from '../../core/config/load.ts'
import type { Fault } from '../../core/faults.ts'
import type { ChildKind, FromChild, TokenKeysMessage } from '../../core/ipc.ts'
import { childStartMsMax, watchGapMsMax, watchIntervalMs } from '../../core/limits.ts'
import type { Log } from '../../core/log.ts'
import type { ShardState } from '../../core/shard-state.ts'
import { Changes } from './changes.ts'
import { Child } from './child.ts'
import { type ChildPlace, ChildPlaces, childPlaces } from './child-places.ts'
import { ReadyWait } from './ready-wait.ts'
import { type Death, Replacements } from './replacements.ts'

/** What is counted. `waiting` is no process yet: a replacement whose back-off runs. */
export const countedPlaces = ['waiting', ...childPlaces] as const

export interface SupervisorOptions {
  readonly config: Config
  readonly executables: Readonly<Record<ChildKind, string>>
  readonly log: Log
  /** The crash budget is spent; nobody is replaced any more. */
  readonly onBudgetSpent: (fault: Fault) => void
  readonly startMsMax?: number
}

/** What children say that the supervisor itself has no use for. */
type HeardType = 'probe' | 'health' | 'metrics' | 'heartbeat' | 'seen' | 'key_unknown'
type MessageListener<Type extends FromChild['type']> = (
  child: Child,
  message: FromChild & { readonly type: Type },
) => void

/** Keeps the wanted children running: forks, watches, replaces, and in the end drains them. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #startMsMax: number
  #config: Config
  readonly #places: ChildPlaces
  readonly #replacements: Replacements
  readonly #readyWait: ReadyWait
  /** Of where the children stand, and of who is replaced. */
  readonly #changes = new Changes()
  /** New ones that are to take the place of one that works, until they are ready. */
  readonly #successors = new Set<Child>()
  /** The kinds that are being drained, with what they had to leave. */
  readonly #drains = new Map<ChildKind, string[]>()
  readonly #watch: NodeJS.Timeout
  #watchedMs = performance.now()
  readonly #messageListeners = new Map<HeardType, MessageListener<HeardType>[]>()
  readonly #goneListeners: ((child: Child) => void)[] = []
  readonly #restartListeners: ((kind: ChildKind) => void)[] = []
  /** By the numbers of the shards. */
  readonly #states = new Map<number, ShardState>()
  #tokenKeys: TokenKeysMessage | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#startMsMax = options.startMsMax ?? childStartMsMax
    this.#config = options.config
    this.#places = new ChildPlaces(({ kind, pid }, from, to) => {
      options.log.debug({ kind, child: pid, from, to }, 'a process moved')
    })
    this.#replacements = new Replacements({
      log: options.log,
      onDue: (kind) => this.#replace(kind),
      onCancelled: this.#changes.happened,
      onBudgetSpent: options.onBudgetSpent,
    })
    this.#readyWait = new ReadyWait({
      places: this.#places,
      replacements: this.#replacements,
      changes: this.#changes,
    })
    this.#watch = setInterval(() => this.#look(), watchIntervalMs)
  }

  /** Listeners of one thing are called in the order in which they came. */
  onMessage<Type extends HeardType>(type: Type, listener: MessageListener<Type>): void {
    const listeners = this.#messageListeners.get(type) ?? []
    // It is found by the type that it takes.
    this.#messageListeners.set(type, [...listeners, listener as MessageListener<HeardType>])
  }

  /** Of each child that has ended, before anything else comes of it. */
  onGone(listener: (child: Child) => void): void {
    this.#goneListeners.push(listener)
  }

  /** Of each child that is about to be forked for one that died. */
  onRestart(listener: (kind: ChildKind) => void): void {
    this.#restartListeners.push(listener)
  }

  start(kind: ChildKind, count: number): void {
    for (let n = 0; n < count; n++) this.#forkOrReplace(kind)
  }

  /**
   * Resolves when every child is ready.
   * @throws Fault HC_START_TIMEOUT; the signal's reason when it is aborted
   */
  allReady(signal: AbortSignal, startMsMax = this.#startMsMax): Promise<void> {
    return this.#readyWait.allReady(signal, startMsMax)
  }

  /** Who is forked from now on gets this configuration. */
  reconfigure(config: Config): void {
    this.#config = config
  }

  /** Those of a kind that are ready. */
  ready(kind: ChildKind): Child[] {
    return this.#places.in(['ready'], kind)
  }

  /**
   * Replaces a child that is ready by a new one, with both at work for a moment; resolves when the old one is gone.
   * @returns false if the new one did not become ready: the old one works on
   */
  async supersede(old: Child): Promise<boolean> {
    if (!this.#places.has(old, 'ready')) return true // it has died meanwhile, and whoever replaced it is new
    const successor = this.#fork(old.kind)
    if (successor instanceof Error) {
      this.#options.log.error({ kind: old.kind }, `no process can take the place of another: ${String(successor)}`)
      return false
    }
    this.#successors.add(successor)
    await this.#changes.until(() => !this.#places.has(successor, 'starting'))
    if (!this.#successors.delete(successor)) return false
    // If the old one has died it was replaced, and the successor is one too many.
    const leaving = this.#places.has(old, 'ready') ? old : successor
    this.#drainChild(leaving, 'ready', 'retire')
    await this.#changes.until(() => !this.#places.has(leaving, 'draining'))
    return true
  }

  /** Those of a kind that can be asked and don't leave, be they ready or not. */
  staying(kind: ChildKind): Child[] {
    return this.#places.in(['starting', 'ready'], kind).filter((child) => child.isListening)
  }

  /** How many of a kind there should be. A successor is none more: it takes another's place. */
  wanted(kind: ChildKind): number {
    const successors = [...this.#successors].filter((child) => child.kind === kind).length
    return this.#count(kind) - this.count(kind, 'draining') - successors
  }

  /** Those that answer messages; of one kind or of all. */
  reachable(kind?: ChildKind): Child[] {
    return this.#places.in(['ready', 'draining'], kind)
  }

  /** Tells the HTTP workers, and all to come, whether a shard may be sold from. */
  reportState(shard: number, state: ShardState): void {
    this.#states.set(shard, state)
    for (const child of this.#places.in(childPlaces, 'http')) this.#tellStates(child)
  }

  /** Gives the HTTP workers, and all to come, the keys of signed buyers. */
  reportKeys(keys: TokenKeysMessage): void {
    this.#tokenKeys = keys
    for (const child of this.#places.in(childPlaces, 'http')) if (child.isListening) child.send(keys)
  }

  #tellStates(child: Child): void {
    if (!child.isListening) return
    for (const [shard, report] of this.#states) child.send({ type: 'record', shard, report })
  }

  count(kind: ChildKind, place: (typeof countedPlaces)[number]): number {
    if (place !== 'waiting') return this.#places.in([place], kind).length
    return this.#replacements.waitingKinds.filter((waiting) => waiting === kind).length
  }

  /** The children there are, for people. */
  describe(): string[] {
    return this.#places
      .in(childPlaces)
      .map((child) => `${child.kind} process ${child.pid} (${this.#places.placeOf(child)})`)
  }

  /**
   * Drains every child of a kind; resolves when none is left, with what they had to leave. An HTTP worker that dies
   * meanwhile takes its connections along, so there is nothing to replace it for. A persister is replaced until one
   * has drained the log to its end: the log is still there.
   */
  async drain(kind: ChildKind): Promise<readonly string[]> {
    const left: string[] = []
    this.#drains.set(kind, left)
    const cancelled = this.#replacements.cancel(kind)
    if (kind === 'persister' && cancelled > 0) this.#replace(kind)
    if (kind === 'persister' && this.#replacements.haveEnded && this.#count(kind) === 0)
      left.push('no persister is left')
    for (const child of this.#places.in(['ready'], kind)) this.#drainChild(child, 'ready')
    // An HTTP worker that waits for Redis in its start may wait for ever, and has taken requests already. A persister is
    // ready at once, and drains then.
    const starting = kind === 'http' ? this.#places.in(['starting'], kind) : []
    for (const child of starting) if (child.isListening) this.#drainChild(child, 'starting')
    await this.#changes.until(() => this.#count(kind) === 0)
    return left
  }

  /** Kills every child; resolves when they are gone. */
  async kill(because: string): Promise<void> {
    this.#replacements.end()
    for (const child of this.#places.in(childPlaces)) child.kill(because)
    await this.#changes.until(() => this.describe().length === 0)
  }

  /** Call when all children are gone. */
  close(): void {
    clearInterval(this.#watch)
  }

  #forkOrReplace(kind: ChildKind): void {
    const child = this.#fork(kind)
    if (child instanceof Error) this.#died({ kind, pid: 0, end: `it could not be forked: ${String(child)}` })
  }

  /** What the operating system says when it can't. */
  #fork(kind: ChildKind): Child | Error {
    let child: Child
    try {
      child = new Child({
        kind,
        number: this.#places.freeNumber(kind),
        executable: this.#options.executables[kind],
        // uWebSockets.js reads it when it is loaded, before the worker has its configuration.
        env: { UWS_HTTP_MAX_HEADERS_SIZE: String(this.#config.app.headersBytesMax) },
        onMessage: (from, message) => this.#heard(from, message),
        onGone: (gone) => this.#gone(gone),
      })
    } catch (error) {
      return error as Error
    }
    this.#places.add(child)
    return child
  }

  #heard(child: Child, message: FromChild): void {
    const { log } = this.#options
    if (!this.#places.has(child, 'starting')) child.silentSinceMs = performance.now()
    switch (message.type) {
      case 'listening':
        child.isListening = true
        if (child.kind === 'http' && this.#drains.has('http')) this.#drainChild(child, 'starting')
        else child.send({ type: 'start', config: this.#config, answersProbes: true })
        if (child.kind === 'http') this.#tellStates(child)
        if (child.kind === 'http' && this.#tokenKeys !== undefined) child.send(this.#tokenKeys)
        break
      case 'accepting':
        child.isAccepting = true
        break
      case 'waiting':
        this.#waitsFor(child, message)
        break
      case 'ready':
        child.waitsFor = undefined
        if (!this.#move(child, 'starting', 'ready')) break
        log.info({ kind: child.kind, child: child.pid }, 'a process is ready')
        if (this.#drains.has(child.kind)) this.#drainChild(child, 'ready')
        break
      case 'failed':
        child.failure = `${message.code}: ${message.message}`
        log.error({ kind: child.kind, child: child.pid, code: message.code }, message.message)
        break
      case 'left':
        child.left.push(message.what)
        log.error({ kind: child.kind, child: child.pid }, message.what)
        break
      default:
        for (const listener of this.#messageListeners.get(message.type) ?? []) listener(child, message)
    }
  }

  /** It lives, and would gain nothing from being replaced: whatever it waits for would not be there for another either. */
  #waitsFor(child: Child, { for: what, isRefused }: FromChild & { readonly type: 'waiting' }): void {
    if (!this.#places.has(child, 'starting')) return
    if (child.waitsFor !== what)
      this.#options.log.warn({ kind: child.kind, child: child.pid }, `a process that starts waits for ${what}`)
    child.waitsFor = what
    if (!this.#successors.has(child) && isRefused !== true) child.silentSinceMs = performance.now()
  }

  #drainChild(child: Child, from: ChildPlace, type: 'drain' | 'retire' = 'drain'): void {
    if (this.#move(child, from, 'draining')) child.send({ type })
  }

  #move(child: Child, from: ChildPlace, to: ChildPlace): boolean {
    if (!this.#places.move(child, from, to)) return false
    this.#changes.happened()
    return true
  }

  #gone(child: Child): void {
    const { kind, pid, end } = child
    const wasDraining = this.#places.remove(child) === 'draining'
    for (const listener of this.#goneListeners) listener(child)
    const left = this.#drains.get(kind)
    left?.push(...child.left)
    if (this.#successors.delete(child)) {
      this.#options.log.error({ kind, child: pid }, `a process died before it took the place of another: ${end}`)
    } else if (wasDraining && child.isCleanExit) {
      this.#options.log.info({ kind, child: pid }, 'a process has drained and ended')
    } else if (wasDraining && (kind === 'http' || child.left.length > 0)) {
      this.#options.log.error({ kind, child: pid }, `a process died while it drained: ${end}`)
      left?.push(`${kind} process ${pid} died while it drained: ${end}`)
    } else {
      this.#died({ kind, pid, end })
    }
    this.#changes.happened()
  }

  #died(death: Death): void {
    const { kind, pid, end } = death
    const isWanted = kind === 'persister' || !this.#drains.has(kind)
    if (this.#replacements.died(death, isWanted)) return
    this.#drains.get(kind)?.push(`${kind} process ${pid} died: ${end}`)
  }

  #replace(kind: ChildKind): void {
    for (const listener of this.#restartListeners) listener(kind)
    this.#forkOrReplace(kind)
    this.#changes.happened()
  }

  /** Kills who is late, but for a successor that waits: it may hold connections, and goes in order. */
  #look(): void {
    const nowMs = performance.now()
    const gapMs = nowMs - this.#watchedMs
    this.#watchedMs = nowMs
    const silenceMsMax = this.#config.app.heartbeatSeconds * 1_000
    for (const place of childPlaces) {
      const isStarting = place === 'starting'
      const patienceMs = isStarting ? this.#startMsMax : silenceMsMax
      for (const child of this.#places.in([place])) {
        if (gapMs > watchGapMsMax) child.silentSinceMs = nowMs
        if (nowMs - child.silentSinceMs <= patienceMs || child.killedBecause !== undefined) continue
        const wait = isStarting && child.waitsFor !== undefined ? `: it waits for ${child.waitsFor}` : ''
        const because = `it was ${isStarting ? 'not ready after' : 'silent for'} ${patienceMs} ms${wait}`
        if (wait !== '' && this.#successors.delete(child)) {
          this.#options.log.error({ kind: child.kind, child: child.pid }, because)
          this.#drainChild(child, 'starting', 'retire')
          continue
        }
        this.#options.log.error({ kind: child.kind, child: child.pid }, `a process is killed: ${because}`)
        child.kill(because)
      }
    }
  }

  #count(kind: ChildKind): number {
    return countedPlaces.reduce((count, place) => count + this.count(kind, place), 0)
  }
}
