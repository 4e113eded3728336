import { Fault, isBug } from '../../core/faults.ts'

/** Why a command failed, for people: a fault with its code, a bug with its stack. */
export function failureText(error: unknown): string {
  return error instanceof Fault ? `${error.code}: ${error.message}` : textWithoutCode(error)
}

/** For a command that says what to do in its own sentences: a fault's message says all there is to say. */
export function textWithoutCode(error: unknown): string {
  const { message, stack = message } = error as Error
  return isBug(error) ? stack : message
}
