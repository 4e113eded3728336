/**
 * A command, for spawn, that the kernel sends a signal when this process dies, however that happens: a test file that takes too
 * long, or that fails before its first test, runs none of its hooks, and a server would go on for ever.
 */
export function endsWithUs(
  signal: 'TERM' | 'KILL',
  command: string,
  args: readonly string[],
): [command: string, args: string[]] {
  return ['setpriv', ['--pdeathsig', signal, command, ...args]]
}
