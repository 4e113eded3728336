import type Client from 'pg-native'

import { endedClientKeptMs } from '../limits.ts'

/** Closes the connection of a client whose attempt to connect is over, successful or not. */
export function endClient(client: Client): void {
  client.end()
  // The addon has the main thread's event loop let go of the socket's watcher, which lies inside this object, in
  // the loop's next turn. Collected before that, it would be used after it was freed. Where this thread's own loop
  // never turns (the copy thread), the object is kept for ever: some hundred bytes for each lost connection.
  setTimeout((ended: Client) => ended, endedClientKeptMs, client).unref()
}
