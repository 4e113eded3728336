import { type ProblemCode, problemReplies } from '../http/problems.ts'
import { jitteredWaitSeconds, retryAfterHeader } from '../http/replies.ts'
import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from '../http/uws.ts'
import { boardBufferedBytesMax, boardIdleSecondsMax, boardReceivedBytesMax, boardViewersMax } from '../limits.ts'

export const boardSocketPath = '/board/feed'

const topic = 'board'
const goingAway = 1_001

export interface ViewerListener {
  /** A viewer has come: what it is sent first, if anything. */
  readonly onJoin: () => Buffer | undefined
  readonly onLeave: () => void
  /** Its connection has ended, which the app's filter isn't told once it is a WebSocket. */
  readonly onClosed: () => void
}

/**
 * The viewers of the board on this worker, all on one topic: a message is framed once for all of them. They have nothing
 * to say. One that does not take in what it is sent is closed when too much of it waits; it comes back for the state.
 * Pages of any origin may connect: nothing here is private, and behind a proxy Host need not be what the page's origin says.
 */
export class BoardSocket {
  readonly #viewers = new Set<WebSocket<unknown>>()
  #app: TemplatedApp | undefined
  #isClosed = false

  attach(app: TemplatedApp, { onJoin, onLeave, onClosed }: ViewerListener): void {
    this.#app = app
    app.ws(boardSocketPath, {
      maxPayloadLength: boardReceivedBytesMax,
      idleTimeout: boardIdleSecondsMax,
      maxBackpressure: boardBufferedBytesMax,
      closeOnBackpressureLimit: true,
      upgrade: (res, req, context) => this.#upgrade(res, req, context),
      open: (viewer) => this.#open(viewer, onJoin),
      close: (viewer) => {
        this.#viewers.delete(viewer)
        onLeave()
        onClosed()
      },
    })
  }

  publish(message: Buffer): void {
    this.#app?.publish(topic, message, true)
  }

  /** Asks every viewer to go elsewhere, and takes no more. */
  close(): void {
    this.#isClosed = true
    for (const viewer of this.#viewers) viewer.end(goingAway)
  }

  #upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    if (this.#isClosed) refuse(res, 'shutting_down')
    else if (this.#viewers.size >= boardViewersMax) refuse(res, 'overloaded')
    else {
      const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) =>
        req.getHeader(`sec-websocket-${name}`),
      ) as [string, string, string]
      res.upgrade({}, key, protocol, extensions, context)
    }
  }

  #open(viewer: WebSocket<unknown>, onJoin: ViewerListener['onJoin']): void {
    this.#viewers.add(viewer)
    viewer.subscribe(topic)
    const message = onJoin()
    if (message !== undefined) viewer.send(message, true)
  }
}

function refuse(res: HttpResponse, code: ProblemCode): void {
  const { head, body } = problemReplies[code]
  res.writeStatus(head.lines + retryAfterHeader(jitteredWaitSeconds() * 1_000)).end(body, true)
}
