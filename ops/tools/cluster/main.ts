// `npm run cluster`: the assembly point. See command.ts for what it takes and answers.

import { runCommand, UsageError, type Values } from '../../../core/command-line.mjs'
import { listedNodes } from '../../../core/config/cluster-nodes.ts'
import { hostAndPort } from '../../../core/config/listen-hosts.ts'
import { loadConfig } from '../../../core/config/load.ts'
import { checkCluster } from '../../../core/redis/cluster-check.ts'
import { type Formed, formWithin } from '../../cluster/forming.ts'
import { failureText } from '../failure-text.ts'
import { clusterCommand } from './command.ts'

// At once: a connection that was refused would keep a timer of its own alive for a while.
process.exit(await runCommand(clusterCommand, process.argv.slice(2), main))

async function main(options: Values<typeof clusterCommand.options>, operands: string[]): Promise<number> {
  const { nodes, replicas, waitSeconds } = options
  if (operands.length !== 1 || operands[0] !== 'create') throw new UsageError('say what to do: create')
  if (nodes === undefined) throw new UsageError('--nodes is missing')
  const places = listedNodes(nodes).map((address) => ({ name: hostAndPort(address.host, address.port), address }))
  const shards = options.shards ?? Math.max(1, Math.floor(places.length / (1 + replicas)))
  try {
    const { redis } = loadConfig({ env: process.env, dotenvFile: '.env' })
    const account = { ...redis, host: '', cluster: nodes }
    const lostAdvice = 'name all nodes of the cluster'
    const waiting = { say, signal: new AbortController().signal }
    const formed = await formWithin({ places, account, replicas, shards, lostAdvice, waiting }, waitSeconds * 1_000)
    report(formed)
    const { warnings } = await checkCluster(account, shards)
    for (const warning of warnings) say(`warning: ${warning}`)
    return 0
  } catch (error) {
    say(failureText(error))
    return 1
  }
}

function report({ done, masters, shardPlaces }: Formed): void {
  for (const sentence of done) say(sentence)
  for (const [shard, place] of shardPlaces.entries()) say(`shard ${shard} is at ${place}`)
  const what = `a cluster of ${masters} ${masters === 1 ? 'master' : 'masters'}`
  say(done.length === 0 ? `all is well: ${what}, and nothing to do` : `the nodes are ${what} now`)
}

function say(text: string): void {
  process.stderr.write(`hotcakes cluster: ${text}\n`)
}
