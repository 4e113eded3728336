/** Of a certificate: paths. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

/** Of the configuration of a node that speaks TLS with its clients, the other nodes and its replicas. */
export function tlsLines({ certificate, key, ca }: TlsFiles, port: number | undefined): string[] {
  return [
    `tls-port ${port}`,
    `tls-cert-file ${certificate}`,
    `tls-key-file ${key}`,
    `tls-ca-cert-file ${ca}`,
    'tls-auth-clients no',
    'tls-cluster yes',
    'tls-replication yes',
  ]
}
