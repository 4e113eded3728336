import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'

import { Fault } from '../../../core/faults.ts'

export const developmentAlgorithm = 'ES256'

/** A pair of keys below the data folder, for nobody but a developer. */
export interface DevelopmentKey {
  readonly kid: string
  readonly signer: Awaited<ReturnType<typeof importJWK>>
  /** The public half, as APP_JWT_KEYS takes it. */
  readonly keysFile: string
}

/** Makes them where there are none. @throws Fault HC_CONFIG when the folder or the file is of no use */
export async function developmentKey(dataDir: string): Promise<DevelopmentKey> {
  const folder = join(dataDir, 'token')
  const privateFile = join(folder, 'signing-key.json')
  const keysFile = join(folder, 'public-keys.json')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const jwk = readKey(privateFile) ?? (await makeKey(privateFile))
    const { d: _private, ...publicHalf } = jwk
    publish(keysFile, publicHalf)
    return { kid: jwk.kid ?? '', signer: await importJWK(jwk, developmentAlgorithm), keysFile }
  } catch (error) {
    if (error instanceof Fault) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new Fault('HC_CONFIG', `the development key in ${folder} is of no use: ${code ?? message}`, { cause: error })
  }
}

/** `undefined`: there is none. */
function readKey(path: string): JWK | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const jwk = parsed(text)
  if (typeof jwk?.d === 'string' && typeof jwk.kid === 'string') return jwk
  throw new Fault('HC_CONFIG', `${path} is no key that npm run token has made: remove it, and a new one is made`)
}

function parsed(text: string): JWK | undefined {
  try {
    return JSON.parse(text) as JWK
  } catch {
    return undefined // half a file, or an editor's
  }
}

/** Of two first runs at a time one makes it, and the other takes that: a link is there whole, or another one is. */
async function makeKey(path: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(developmentAlgorithm, { extractable: true })
  const kid = `development-${new Date().toISOString().slice(0, 10)}`
  const jwk = { ...(await exportJWK(privateKey)), kid, alg: developmentAlgorithm, use: 'sig' }
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify(jwk)}\n`, { mode: 0o600 })
  try {
    linkSync(draft, path)
    return jwk
  } catch (error) {
    const made = (error as NodeJS.ErrnoException).code === 'EEXIST' ? readKey(path) : undefined
    if (made === undefined) throw error
    return made
  } finally {
    rmSync(draft)
  }
}

/** A server may be reading it. */
function publish(path: string, jwk: JWK): void {
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify({ keys: [jwk] }, undefined, 2)}\n`)
  renameSync(draft, path)
}
