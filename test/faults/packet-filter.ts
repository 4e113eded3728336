import { spawnSync } from 'node:child_process'

/** Why no packets can be dropped here; undefined when they can. */
export const packetFilterObstacle = findObstacle()

function findObstacle(): string | undefined {
  const { status, error, stderr } = spawnSync('iptables', ['-w', '-S', 'INPUT'], { encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}

/** What was not taken back yet: also a process that is told to end takes its rules back. */
const blocked = new Set<() => void>()
process.on('exit', () => {
  for (const unblock of blocked) unblock()
})

/**
 * Drops every packet of one TCP connection over the loopback interface, without a word to either end. Returns what ends that.
 * @param connection its two ports
 * @throws Error with iptables' own words
 */
export function blockConnection({ service, client }: { service: number; client: number }): () => void {
  const rules = [
    ['--sport', String(client), '--dport', String(service)],
    ['--sport', String(service), '--dport', String(client)],
  ]
  const added: string[][] = []
  const unblock = () => {
    blocked.delete(unblock)
    for (let rule = added.pop(); rule !== undefined; rule = added.pop()) change('-D', rule)
  }
  blocked.add(unblock)
  for (const rule of rules) {
    change('-I', rule)
    added.push(rule)
  }
  return unblock
}

function change(how: '-I' | '-D', rule: readonly string[]): void {
  const args = ['-w', how, 'INPUT', '-i', 'lo', '-p', 'tcp', ...rule, '-j', 'DROP']
  const { status, stderr, error } = spawnSync('iptables', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`iptables ${args.join(' ')}: ${error?.message ?? stderr}`)
}
