/**
 * The addresses that a host setting stands for: the first list of which all can be listened on. A kernel may be without
 * IPv6, and then `::` is every IPv4 address. Where there is IPv6, a socket on `::` serves both families.
 */
export function listenHosts(host: string): readonly (readonly string[])[] {
  if (host === '::') return [['::'], ['0.0.0.0']]
  // A bind to the name takes only the first of its addresses, and clients may begin with the other one.
  if (host === 'localhost') return [['127.0.0.1', '::1'], ['127.0.0.1'], ['::1']]
  return [[host]]
}

export function hostAndPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The URL at which this machine reaches what it listens on itself. */
export function localUrl(host: string, port: number): string {
  const reached = { '0.0.0.0': '127.0.0.1', '::': 'localhost' }[host] ?? host
  return `http://${hostAndPort(reached, port)}`
}
