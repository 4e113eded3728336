import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

import type { Scope } from '../helpers/scope.ts'

/** Both services are told the name of a client when it connects; none is longer than this into the conversation. */
const greetingBytesMax = 1_024

/** One connection through a link. */
interface Passage {
  readonly client: Socket
  readonly upstream: Socket
  /** The begin of what the client said, to tell whose connection it is. */
  greeting: string
  /** A call whose reply is to be lost is on its way. */
  awaitsLoss: boolean
}

/**
 * The network between the server's processes and one service: a TCP proxy that lets everything pass, and can delay,
 * cut, half-close, or lose a reply to a call that the service has carried out.
 */
export class Link {
  readonly port: number
  readonly #passages: Set<Passage>
  readonly #weather: Weather

  private constructor(port: number, passages: Set<Passage>, weather: Weather) {
    this.port = port
    this.#passages = passages
    this.#weather = weather
  }

  /** Listens on a free port of the loopback interface. */
  static async start(scope: Scope, upstreamPort: number): Promise<Link> {
    const passages = new Set<Passage>()
    const weather = new Weather()
    const server = createServer({ allowHalfOpen: true }, (client) => pass(client, { upstreamPort, passages, weather }))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    scope.after(() => {
      server.close()
      for (const { client, upstream } of passages) for (const socket of [client, upstream]) socket.destroy()
    })
    return new Link((server.address() as AddressInfo).port, passages, weather)
  }

  /** Every byte takes so much longer from now on; 0 ends it. Nothing overtakes anything. */
  delay(ms: number): void {
    this.#weather.delayMs = ms
  }

  /** Whether something is on its way just now. */
  get isDelaying(): boolean {
    return this.#weather.delayed > 0
  }

  /** Resets the connections of the clients whose names match; what is on its way is lost. Answers how many. */
  cut(name: RegExp): number {
    const hit = this.#named(name)
    for (const { client, upstream } of hit) for (const socket of [client, upstream]) socket.resetAndDestroy()
    return hit.length
  }

  /** Ends one direction of these connections: one side has said its last word, and still listens. */
  halfClose(name: RegExp, side: 'client' | 'service'): number {
    const hit = this.#named(name)
    for (const { client, upstream } of hit) (side === 'client' ? upstream : client).end()
    return hit.length
  }

  /** New connections are reset at once while it is true. */
  set refuses(refuses: boolean) {
    this.#weather.refuses = refuses
  }

  /**
   * Of the next calls that hold the word, so many are carried out without a reply: their connections are reset when the
   * reply comes.
   */
  loseReplies(word: string, count: number): void {
    this.#weather.losses = { word: Buffer.from(word), left: count }
  }

  /** The replies that could be lost and were not: nobody made such a call. Ends it. */
  stopLosing(): number {
    const { left } = this.#weather.losses
    this.#weather.losses = { word: Buffer.alloc(0), left: 0 }
    return left
  }

  #named(name: RegExp): Passage[] {
    return [...this.#passages].filter(({ greeting }) => name.test(greeting))
  }
}

/** What all connections of a link suffer. */
class Weather {
  delayMs = 0
  /** Chunks on their way. */
  delayed = 0
  refuses = false
  losses = { word: Buffer.alloc(0), left: 0 }

  /** Whether the reply to this call is to be lost: each loss is given away once. */
  claims(data: Buffer): boolean {
    if (this.losses.left === 0 || !data.includes(this.losses.word)) return false
    this.losses.left -= 1
    return true
  }
}

function pass(client: Socket, link: { upstreamPort: number; passages: Set<Passage>; weather: Weather }): void {
  const { passages, weather } = link
  if (weather.refuses) {
    client.resetAndDestroy()
    return
  }
  const upstream = connect({ port: link.upstreamPort, host: '127.0.0.1', allowHalfOpen: true })
  const passage: Passage = { client, upstream, greeting: '', awaitsLoss: false }
  passages.add(passage)
  const [there, back] = [new Lane(weather), new Lane(weather)]
  for (const [socket, lane, other] of [
    [client, there, upstream],
    [upstream, back, client],
  ] as const) {
    socket.setNoDelay(true)
    socket.on('error', () => undefined) // 'close' follows, and is passed on
    socket.on('close', () => {
      passages.delete(passage)
      // What a process had sent before it died still arrives.
      lane.send(() => other.destroy())
    })
  }
  client.on('data', (data) => {
    if (passage.greeting.length < greetingBytesMax) passage.greeting += data.toString('latin1')
    if (weather.claims(data)) passage.awaitsLoss = true
    there.send(() => upstream.write(data))
  })
  upstream.on('data', (data) => {
    if (passage.awaitsLoss) client.resetAndDestroy()
    else back.send(() => client.write(data))
  })
  client.on('end', () => there.send(() => upstream.end()))
  upstream.on('end', () => back.send(() => client.end()))
}

/** One direction of a connection: what is delayed arrives in its order, also when the delay changes meanwhile. */
class Lane {
  readonly #weather: Weather
  readonly #waiting: { readonly dueMs: number; readonly arrive: () => void }[] = []

  constructor(weather: Weather) {
    this.#weather = weather
  }

  send(arrive: () => void): void {
    const { delayMs } = this.#weather
    if (delayMs === 0 && this.#waiting.length === 0) return arrive()
    this.#weather.delayed += 1
    this.#waiting.push({ dueMs: performance.now() + delayMs, arrive })
    if (this.#waiting.length === 1) setTimeout(this.#deliver, delayMs)
  }

  readonly #deliver = (): void => {
    this.#weather.delayed -= 1
    this.#waiting.shift()?.arrive()
    const [next] = this.#waiting
    if (next !== undefined) setTimeout(this.#deliver, Math.max(0, next.dueMs - performance.now()))
  }
}
