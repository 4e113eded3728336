import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions as TlsOptions } from 'node:tls'

export interface RedisEncryption {
  readonly tls: boolean
  /** File with the authorities that are trusted; '' or absent: those that Node.js knows. */
  readonly tlsCa?: string
}

/** The name in the certificate is checked against the host, be it a name or an address; only a name may be sent ahead. */
export function tlsOptions({ host, tlsCa = '' }: RedisEncryption & { readonly host: string }): TlsOptions {
  return {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(tlsCa === '' ? {} : { ca: readFileSync(tlsCa) }),
  }
}
