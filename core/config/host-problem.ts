import { isIPv4, isIPv6 } from 'node:net'

import { wrappingHint } from './pasted.ts'

/** Labels as resolvers take them: Compose's names have underscores. */
const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/

interface HostNames {
  /** DB_HOST: its neighbours begin alike. */
  readonly env: string
  /** The variable of the port. */
  readonly portEnv: string
  /** A directory is taken as well: libpq looks for a Unix socket in it. */
  readonly isFolderTaken: boolean
}

/**
 * What keeps a text from being a host, and where its parts belong. Of the text itself it repeats no more than a port:
 * a URL may hold a password.
 */
export function hostProblem(text: string, { env, portEnv, isFolderTaken }: HostNames): string | undefined {
  const wrapped = wrappingHint(text)
  if (wrapped !== undefined) return wrapped
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return urlProblem(text, { env, portEnv })
  if (text.includes('@')) return `no user belongs in it${elsewhere(env, { hasUser: true, hasDatabase: false })}`
  if (text.includes(',')) return 'write one host, not a list'
  if (text.startsWith('/')) return folderProblem(text, isFolderTaken)
  if (text === '*') return 'write :: for every address'
  return bracketProblem(text, portEnv) ?? portProblem(text, portEnv) ?? nameProblem(text)
}

function urlProblem(text: string, { env, portEnv }: { env: string; portEnv: string }): string {
  // Only of the web's schemes are all parts told apart.
  const web = text.replace(/^[a-z][a-z0-9+.-]*:/i, 'http:')
  const url = URL.canParse(web) ? new URL(web) : undefined
  const port = url === undefined || url.port === '' ? '' : `, put ${url.port} into ${portEnv}`
  const others = elsewhere(env, { hasUser: text.includes('@'), hasDatabase: (url?.pathname.length ?? 0) > 1 })
  const tls = text.startsWith('rediss:') && env === 'REDIS_HOST' ? ', and set REDIS_TLS=true' : ''
  return `write the host of this URL alone${port}${others}${tls}`
}

/** Those that the server listens on have no users. */
function elsewhere(env: string, { hasUser, hasDatabase }: { hasUser: boolean; hasDatabase: boolean }): string {
  const prefix = /^(DB|REDIS)_HOST$/.exec(env)?.[1]
  if (prefix === undefined) return ''
  const user = hasUser ? `, put user and password into ${prefix}_USER and ${prefix}_PASSWORD` : ''
  return hasDatabase && prefix === 'DB' ? `${user}, put the database into DB_NAME` : user
}

function folderProblem(text: string, isFolderTaken: boolean): string | undefined {
  if (!isFolderTaken) return 'a Unix socket is not supported, only TCP'
  return /\/\.s\.PGSQL\.\d+$/.test(text) ? 'write the folder of the socket, not the socket itself' : undefined
}

function bracketProblem(text: string, portEnv: string): string | undefined {
  const [, , port] = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(text) ?? [undefined, undefined, undefined]
  if (!text.startsWith('[')) return undefined
  return `write an IPv6 address without brackets${port === undefined ? '' : `, and put ${port} into ${portEnv}`}`
}

function portProblem(text: string, portEnv: string): string | undefined {
  const [, port] = /^[^:]*:(\d{1,5})$/.exec(text) ?? []
  return port === undefined ? undefined : `write the host without its port, and put ${port} into ${portEnv}`
}

function nameProblem(text: string): string | undefined {
  if (isIPv4(text) || isIPv6(text)) return undefined
  if (text.includes('/')) return 'write the host without a slash'
  // Resolvers take 1, 127.1 and 0x7f.1 for addresses, which nobody means.
  if (/^[\d.]+$/.test(text)) return 'it is no whole IPv4 address'
  return hostName.test(text) ? undefined : 'it is neither a name nor an address'
}
