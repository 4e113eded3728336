import type { Operation } from '../../core/outcomes.ts'

/** What load scenarios send, and reports tell apart. */
export type LoadOperation = Exclude<Operation, 'release'>
