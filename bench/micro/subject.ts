/** One way to do what a case is about. */
export interface Candidate {
  readonly name: string
  /**
   * What it makes of the case's input. Compared with the first candidate's before anything is timed: where they
   * differ, the candidates do not do the same, and their times mean nothing.
   */
  readonly result: () => unknown
  /**
   * One sample: `operations` operations. Many, because the clock takes some 50 ns to read, which is more than some of
   * the operations do.
   */
  readonly run: () => unknown
  readonly operations: number
  /** `run` returns a promise. */
  readonly isAsync?: true
  /** Before each round, untimed. */
  readonly prepare?: () => void | Promise<void>
  /** Running totals, of which the report shows the increase for each operation. */
  readonly meter?: () => Promise<Readonly<Record<string, number>>>
}

export interface Case {
  readonly name: string
  /** What one operation is: the times are for one of these. */
  readonly operation: string
  /** The first is what the others are compared with: what hotcakes does, or did. */
  readonly candidates: readonly Candidate[]
}

export interface Scale {
  /** Small and quick: only shows that everything works. */
  readonly smoke: boolean
}

export interface Subject {
  readonly name: string
  /** One line for the list. */
  readonly about: string
  /** One case after the other. What a case needs is there until the next is asked for. */
  readonly cases: (scale: Scale) => Iterable<Case> | AsyncIterable<Case>
}

/**
 * Samples and result for a function over inputs. All candidates' functions are called from this one place, which keeps
 * V8 from inlining them: the call costs each the same few ns, and no result is optimised away because nobody looks.
 */
export function over<Input>(
  inputs: readonly Input[],
  operation: (input: Input) => unknown,
): Pick<Candidate, 'run' | 'operations' | 'result'> {
  return {
    operations: inputs.length,
    run: () => {
      let last: unknown
      for (const input of inputs) last = operation(input)
      return last
    },
    result: () => inputs.map((input) => operation(input)),
  }
}
