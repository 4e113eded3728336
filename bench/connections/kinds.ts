/** What the clients of a flood do, and what the server is set to. */
export const floodKinds = ['request', 'kept', 'silent', 'worker full', 'address full'] as const
export type FloodKind = (typeof floodKinds)[number]

export const kindDocs: Readonly<Record<FloodKind, string>> = {
  request: 'each connects, sends a checkout, reads the answer, and connects anew',
  kept: 'as many requests a second on kept connections',
  silent: 'each connects, closes, and connects anew',
  'worker full': 'each connects for a request; the worker has as many connections as APP_CONNECTIONS_MAX allows',
  'address full': 'the same; its address has as many as APP_CONNECTIONS_PER_ADDRESS_MAX allows',
}
