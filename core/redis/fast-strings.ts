/**
 * Importing ioredis 6 makes strings slow in the whole process: one of its classes extends String, which puts
 * `String.prototype` into V8's dictionary mode, where charCodeAt, slice and startsWith are no longer inlined. Parsing a
 * request then takes 2.6 times as long (bench/micro, request-parsing). V8 makes a prototype fast again when a property
 * has been read through it a few times by way of an object; a plain string doesn't count.
 */
export function makeStringsFastAgain(): void {
  const wrapped: object = new String('')
  for (let read = 0; read < readsUntilFast; read++) readMethod(wrapped)
}

/** Ten were enough on Node 20 and 22; each costs some nanoseconds, once a process. */
const readsUntilFast = 1_000

function readMethod(text: object): unknown {
  return (text as { readonly charCodeAt?: unknown }).charCodeAt
}
