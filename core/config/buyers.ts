/** Rules that concern more than one of the settings of buyers, and what they name. */

import { readFileSync } from 'node:fs'

import { keyTextBytesMax } from '../limits.ts'
import { type Algorithm, algorithmNames, isAlgorithm, isHmac, listedAlgorithms } from '../tokens/algorithms.ts'
import { type ReadKeys, readKeys } from '../tokens/key-set.ts'
import { shownPath } from './secret-files.ts'
import type { SettingValues } from './settings.ts'

type Buyers = SettingValues['buyers']

/** The algorithms of settings without a problem. */
export function allowedAlgorithms({ algorithms }: Pick<Buyers, 'algorithms'>): Algorithm[] {
  return listedAlgorithms(algorithms).filter(isAlgorithm)
}

/** The URL of APP_JWT_KEYS; `undefined`: it is a file. */
export function keysUrl({ keys }: Pick<Buyers, 'keys'>): URL | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(keys) && URL.canParse(keys) ? new URL(keys) : undefined
}

export function problemsOfBuyers(buyers: Buyers): string[] {
  if (buyers.mode === 'open') return []
  const unknown = problemsOfAlgorithms(buyers)
  if (buyers.keys === '') {
    const trial = 'npm run token -- --user me makes some to try it with'
    return [
      ...unknown,
      `APP_BUYERS=signed needs APP_JWT_KEYS: a file with public keys, or the URL of a JWKS (${trial})`,
    ]
  }
  if (unknown.length > 0) return unknown
  const url = keysUrl(buyers)
  return url === undefined ? problemsOfFile(buyers) : problemsOfUrl(url, buyers)
}

/** What is allowed with signed buyers but may not be meant; with open ones, what has no effect. */
export function warningsOfBuyers(buyers: Buyers, variables: Readonly<Record<string, string | undefined>>): string[] {
  if (buyers.mode === 'open') {
    const idle = Object.keys(variables).filter((name) => /^APP_(JWT_|RATE_LIMIT_PER_BUYER$)/.test(name))
    if (idle.length === 0) return []
    return [`without APP_BUYERS=signed anybody may write any user_id: ${idle.join(', ')} has no effect`]
  }
  const left = missingClaims(buyers)
  if (left.length === 0) return []
  return [`${left.join(' and ')} is not set: a token of these keys counts, whoever it was meant for`]
}

function missingClaims({ issuer, audience }: Buyers): string[] {
  return [...(issuer === '' ? ['APP_JWT_ISSUER'] : []), ...(audience === '' ? ['APP_JWT_AUDIENCE'] : [])]
}

function problemsOfAlgorithms({ algorithms }: Buyers): string[] {
  const listed = listedAlgorithms(algorithms)
  const must = `APP_JWT_ALGORITHMS must be some of ${algorithmNames.join(', ')}`
  if (listed.length === 0) return [must]
  return listed.flatMap((name, at) => {
    if (isAlgorithm(name)) return []
    const none = name.toLowerCase() === 'none' ? ' (none is no signature)' : ''
    return [`${must}: entry ${at + 1} is not one of them${none}`]
  })
}

function problemsOfUrl(url: URL, buyers: Buyers): string[] {
  const problems: string[] = []
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    problems.push('APP_JWT_KEYS must be an https:// URL: over http:// whoever is on the way could put in other keys')
  }
  if (url.username !== '' || url.password !== '') problems.push('APP_JWT_KEYS must be a URL without user and password')
  const missing = missingClaims(buyers)
  if (missing.length > 0) {
    problems.push(`APP_JWT_KEYS is a URL, whose keys sign for others too: set ${missing.join(' and ')}`)
  }
  if (allowedAlgorithms(buyers).some(isHmac)) {
    problems.push('APP_JWT_ALGORITHMS names HS256, HS384 or HS512, whose key is a secret: APP_JWT_KEYS must be a file')
  }
  return problems
}

/** As URL writes hosts. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
}

function problemsOfFile(buyers: Buyers): string[] {
  const read = readKeyFile(buyers)
  if (!('problem' in read)) return []
  const path = shownPath(buyers.keys)
  return [`APP_JWT_KEYS must be a file with public keys (JWKS or PEM) or an https:// URL: ${path} ${read.problem}`]
}

/** The keys in the file that APP_JWT_KEYS names. */
export function readKeyFile(buyers: Pick<Buyers, 'keys' | 'algorithms'>): ReadKeys {
  let text: string
  try {
    text = readFileSync(buyers.keys, 'utf8')
  } catch (error) {
    return { problem: `cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
  if (text.length > keyTextBytesMax) return { problem: `has more than ${keyTextBytesMax} bytes` }
  return readKeys(text, { algorithms: allowedAlgorithms(buyers), isOwn: true })
}
