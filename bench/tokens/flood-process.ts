// Forges tokens in a process of its own: told what and where to, it says what it was answered when it is told to stop.

import { ClosedLoop } from './closed-loop.ts'
import { type Forgery, forgedLine } from './kinds.ts'

export interface FloodOrder {
  readonly forgery: Forgery
  readonly port: number
  readonly connections: number
  readonly addresses: number
  readonly path: string
}

let loop: ClosedLoop | undefined

process.on('message', (order: FloodOrder | 'stop') => {
  if (order === 'stop') {
    process.send?.(loop?.stop() ?? {})
    loop = undefined
    return
  }
  const { forgery, port, connections, addresses, path } = order
  loop = new ClosedLoop({
    port,
    connections,
    from: (number) => `127.0.1.${1 + (number % addresses)}`,
    next: () => `POST ${path} HTTP/1.1\r\nHost: shop\r\n${forgedLine(forgery)}\r\n`,
  })
})
process.on('disconnect', () => process.exit())
