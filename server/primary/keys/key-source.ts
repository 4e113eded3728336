import { allowedAlgorithms, keysUrl, readKeyFile } from '../../../core/config/buyers.ts'
import type { Config } from '../../../core/config/load.ts'
import { shownPath } from '../../../core/config/secret-files.ts'
import { Fault } from '../../../core/faults.ts'
import {
  keyFetchMsMax,
  keyFileLookMs,
  keyFileRestMs,
  keyLookRestMs,
  keyTextBytesMax,
  keyUrlLookMs,
} from '../../../core/limits.ts'
import { readKeys, type TokenJwk } from '../../../core/tokens/key-set.ts'

/** Where the keys of signed buyers come from. */
export interface KeySource {
  /** For people; without the query of a URL, which may hold a secret. */
  readonly place: string
  /** How often it is looked at unasked, and the least time between two looks. */
  readonly lookMs: number
  readonly restMs: number
  /** @throws Fault HC_TOKEN_KEYS */
  read(): Promise<readonly TokenJwk[]>
}

export function keySource(buyers: Config['buyers']): KeySource {
  const url = keysUrl(buyers)
  return url === undefined ? fileSource(buyers) : urlSource(url, buyers)
}

function fileSource(buyers: Config['buyers']): KeySource {
  const place = shownPath(buyers.keys)
  return {
    place,
    lookMs: keyFileLookMs,
    restMs: keyFileRestMs,
    read: async () => {
      const read = readKeyFile(buyers)
      if ('problem' in read) throw new Fault('HC_TOKEN_KEYS', `the file of APP_JWT_KEYS, ${place}, ${read.problem}`)
      return read.keys
    },
  }
}

function urlSource(url: URL, buyers: Config['buyers']): KeySource {
  const place = `${url.origin}${url.pathname}`
  return {
    place,
    lookMs: keyUrlLookMs,
    restMs: keyLookRestMs,
    read: async () => {
      const text = await fetchText(url, place)
      const read = readKeys(text, { algorithms: allowedAlgorithms(buyers), isOwn: false })
      if ('problem' in read) throw new Fault('HC_TOKEN_KEYS', `what ${place} answered ${read.problem}`)
      return read.keys
    },
  }
}

/** A redirection is not followed: it could lead to a host that nobody has named. */
async function fetchText(url: URL, place: string): Promise<string> {
  try {
    const headers = { accept: 'application/jwk-set+json, application/json' }
    const signal = AbortSignal.timeout(keyFetchMsMax)
    const response = await fetch(url, { redirect: 'error', headers, signal })
    if (response.status !== 200) throw new Fault('HC_TOKEN_KEYS', `${place} answered ${response.status}`)
    return await boundedText(response, place)
  } catch (error) {
    if (error instanceof Fault) throw error
    const { name, cause } = error as Error
    const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? name
    throw new Fault('HC_TOKEN_KEYS', `${place} did not answer (${code})`, { cause: error })
  }
}

async function boundedText({ body }: Response, place: string): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body ?? []) {
    bytes += part.length
    if (bytes > keyTextBytesMax) throw new Fault('HC_TOKEN_KEYS', `${place} answers more than ${keyTextBytesMax} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}
