import { addressKey } from '../../server/worker/http/client-address.ts'
import { RateLimit } from '../../server/worker/http/rate-limit.ts'
import { type Case, over, type Scale, type Subject } from './subject.ts'

interface Asked {
  readonly address: ArrayBuffer
  readonly nowMs: number
}

const requestsPerSecond = 100

/** The textbook's bucket: an object for each address, which somebody would have to sweep out. */
class Buckets {
  readonly #buckets = new Map<string, { tokens: number; filledMs: number }>()

  takes(key: string, nowMs: number): boolean {
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      bucket = { tokens: requestsPerSecond, filledMs: nowMs }
      this.#buckets.set(key, bucket)
    }
    const gained = ((nowMs - bucket.filledMs) * requestsPerSecond) / 1_000
    bucket.tokens = Math.min(requestsPerSecond, bucket.tokens + gained)
    bucket.filledMs = nowMs
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }
}

/** Requests in the order of time, of as many addresses, each well below its rate. */
function requests(addresses: number, count: number): Asked[] {
  return Array.from({ length: count }, (_, n) => ({
    address: Uint8Array.of(10, 0, (n % addresses) >> 8, n % addresses).buffer,
    nowMs: n / (addresses * 10),
  }))
}

function* cases({ smoke }: Scale): Iterable<Case> {
  const count = smoke ? 64 : 4_096
  for (const addresses of [1, 1_000]) {
    const asked = requests(addresses, count)
    const limits = { RateLimit: new RateLimit(requestsPerSecond, 'address'), 'a bucket each': new Buckets() }
    const candidates = Object.entries(limits).map(([name, limit]) => {
      // The time goes on from sample to sample.
      let passedMs = 0
      const takes = ({ address, nowMs }: Asked) => limit.takes(addressKey(new Uint8Array(address)), passedMs + nowMs)
      const { run, ...rest } = over(asked, takes)
      return {
        name,
        ...rest,
        run: () => {
          passedMs += 10_000
          return run()
        },
      }
    })
    yield { name: `${addresses} addresses`, operation: 'request', candidates }
  }
}

export const rateLimit: Subject = {
  name: 'rate-limit',
  about: 'may this address ask again: the time at which its bucket is full, a bucket each',
  cases,
}
