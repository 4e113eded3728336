/** What V8 writes, as far as it is read here. Times are microseconds on the system's monotonic clock. */
export interface CpuProfile {
  readonly startTime: number
  readonly nodes: readonly ProfileNode[]
  /** Ids of the nodes that were found running. */
  readonly samples: readonly number[]
  /** From the sample before, or the start, to each sample. */
  readonly timeDeltas: readonly number[]
}

export interface ProfileNode {
  readonly id: number
  /** Lines and columns count from 0. */
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    readonly lineNumber: number
    readonly columnNumber: number
  }
}

export interface FunctionTime {
  readonly name: string
  /** `url:line`, or '' for what is none of JavaScript's. */
  readonly place: string
  readonly selfUs: number
}

export interface SelfTimes {
  /** Without idle time. */
  readonly busyUs: number
  readonly idleUs: number
  /** Largest first, `(program)` and `(garbage collector)` among them, waiting not. */
  readonly functions: readonly FunctionTime[]
}

/** Where a thread waits: V8's own names, and where Piscina's threads sleep between tasks. */
const waitingNames = new Set(['(root)', '(idle)', 'atomicsWaitLoop'])

/**
 * The time that each function itself was running, without what it called. A function's calls from different places are
 * added up. @param fromUs, toUs samples outside of this are left out: start-up and shutdown are not the load
 */
export function selfTimes(profile: CpuProfile, { fromUs, toUs }: { fromUs: number; toUs: number }): SelfTimes {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const functions = new Map<string, { name: string; place: string; selfUs: number }>()
  let idleUs = 0
  let busyUs = 0
  let atUs = profile.startTime
  for (const [at, id] of profile.samples.entries()) {
    atUs += profile.timeDeltas[at] ?? 0
    if (atUs < fromUs || atUs >= toUs) continue
    // A sample stands for the time until the next one.
    const lastsUs = profile.timeDeltas[at + 1] ?? 0
    const frame = nodes.get(id)?.callFrame
    if (frame === undefined) continue
    if (waitingNames.has(frame.functionName)) {
      idleUs += lastsUs
      continue
    }
    busyUs += lastsUs
    const name = frame.functionName || '(anonymous)'
    const place = frame.url === '' ? '' : `${frame.url}:${frame.lineNumber + 1}`
    const known = functions.get(`${name} ${place}`)
    if (known === undefined) functions.set(`${name} ${place}`, { name, place, selfUs: lastsUs })
    else known.selfUs += lastsUs
  }
  return { busyUs, idleUs, functions: [...functions.values()].toSorted((a, b) => b.selfUs - a.selfUs) }
}
