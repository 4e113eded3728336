// Clients that connect and close at once, from many addresses: told where to, it says how often when it is told to stop.

import { connect } from 'node:net'

export interface CallerOrder {
  readonly port: number
  /** That are being opened at a time. */
  readonly clients: number
}

export interface Called {
  readonly connections: number
  readonly cpuSeconds: number
}

/** So that neither the ports of one address run out nor the bound of one address is reached. */
const addresses = 100

interface Counts {
  connections: number
  readonly cpuAtStart: NodeJS.CpuUsage
}

let counts: Counts | undefined
let calls = 0

function call(order: CallerOrder, mine: Counts): void {
  calls += 1
  const socket = connect({ host: '127.0.0.1', port: order.port, localAddress: `127.0.2.${1 + (calls % addresses)}` })
  let isConnected = false
  socket.once('connect', () => {
    isConnected = true
    // A reset, so that no port waits for a minute after its connection.
    socket.resetAndDestroy()
  })
  socket.on('error', () => undefined) // what matters of it is that it closes
  socket.once('close', () => {
    if (counts !== mine) return
    if (isConnected) mine.connections += 1
    call(order, mine)
  })
}

function calledIn({ connections, cpuAtStart }: Counts): Called {
  const { user, system } = process.cpuUsage(cpuAtStart)
  return { connections, cpuSeconds: (user + system) / 1e6 }
}

process.on('message', (order: CallerOrder | 'stop') => {
  if (order === 'stop') {
    if (counts !== undefined) process.send?.(calledIn(counts))
    counts = undefined
    return
  }
  const mine: Counts = { connections: 0, cpuAtStart: process.cpuUsage() }
  counts = mine
  for (let n = 0; n < order.clients; n++) call(order, mine)
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
