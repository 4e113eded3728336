import assert from 'node:assert/strict'

import { type Command, type Options, readArguments, UsageError } from '../../core/command-line.mjs'

/** What a command says of arguments that it can't take, without a process of its own. Each ends with its status for a slip. */
export function refusalOf(command: Command<Options>, args: readonly string[]): string {
  try {
    readArguments(command, args)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  return assert.fail(`${args.join(' ')} was taken`)
}
