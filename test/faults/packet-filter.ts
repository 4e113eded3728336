import { spawnSync } from 'node:child_process'

/** Why no packets can be dropped here; undefined when they can. */
export const packetFilterObstacle = findObstacle()

function findObstacle(): string | undefined {
  const { status, error, stderr } = spawnSync('iptables', ['-w', '-S', 'INPUT'], { encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}

/** Why packets can't be told by the group of their sender. */
export const groupFilterObstacle =
  packetFilterObstacle ??
  (process.getuid?.() === 0 ? findOwnerObstacle() : 'only root starts a process as another group')

function findOwnerObstacle(): string | undefined {
  // A rule that is not there: whether the kernel knows what it asks for.
  const { stderr } = spawnSync('iptables', ['-w', ...dropFrom('-C', 1, 1)], { encoding: 'utf8' })
  return /does a matching rule exist|Bad rule/.test(stderr) ? undefined : stderr.trim()
}

/** Groups that nobody else on this machine has: all processes of a server run as one of them. */
const groupsBegin = 1_000_000
export const serverGroup = groupsBegin + 2 * process.pid
export const secondServerGroup = serverGroup + 1

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
  return block([dropBetween(client, service), dropBetween(service, client)])
}

/** Drops every packet that a process of the group sends to a port of the loopback interface. Returns what ends that. */
export function blockGroup({ gid, port }: { gid: number; port: number }): () => void {
  return block([(how) => dropFrom(how, gid, port)])
}

type Rule = (how: '-I' | '-D' | '-C') => readonly string[]

function dropBetween(from: number, to: number): Rule {
  return (how) => [how, 'INPUT', '-i', 'lo', '-p', 'tcp', '--sport', String(from), '--dport', String(to), '-j', 'DROP']
}

function dropFrom(how: '-I' | '-D' | '-C', gid: number, port: number): readonly string[] {
  const owner = ['-m', 'owner', '--gid-owner', String(gid)]
  return [how, 'OUTPUT', '-o', 'lo', '-p', 'tcp', '--dport', String(port), ...owner, '-j', 'DROP']
}

function block(rules: readonly Rule[]): () => void {
  const added: Rule[] = []
  const unblock = () => {
    blocked.delete(unblock)
    for (let rule = added.pop(); rule !== undefined; rule = added.pop()) change(rule('-D'))
  }
  blocked.add(unblock)
  for (const rule of rules) {
    change(rule('-I'))
    added.push(rule)
  }
  return unblock
}

function change(rule: readonly string[]): void {
  const args = ['-w', ...rule]
  const { status, stderr, error } = spawnSync('iptables', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`iptables ${args.join(' ')}: ${error?.message ?? stderr}`)
}

/** Of a server that is started: none where no packets are dropped anyway. */
export function groupOf(gid: number): { gid?: number } {
  return groupFilterObstacle === undefined ? { gid } : {}
}
