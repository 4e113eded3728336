import { BlockList, isIP } from 'node:net'
import { listedNodes } from './cluster-nodes.ts'

/**
 * How many HTTP workers there are if nobody says so: one for each core, or for every second one where Redis runs on them as well. An
 * answer takes an HTTP worker's core for 21 to 29 us, and those of Redis, Postgres and the persister for nearly as long together. Where
 * they find no core free, a second worker does no more work: it halves the batches, and each batch has its share of both. Two
 * workers instead of one on two cores: batches x0.5, CPU an answer x1.2 to x1.6, answers a second x0.6 to x0.9
 * (docs/PERFORMANCE.md). More cores were not to be had, so for them the rule goes by these shares. It asks for Redis alone: what
 * Postgres takes is a seventh of what a worker does.
 */
export function defaultWorkers(cores: number, redis: { readonly host: string; readonly cluster: string }): number {
  return isHere(redis) ? Math.ceil(cores / 2) : cores
}

/** Nothing is known of a name, but of one: it may lead anywhere. */
function isHere({ host, cluster }: { readonly host: string; readonly cluster: string }): boolean {
  if (host === '' && cluster === '') return true // the server runs it itself
  return (cluster === '' ? [host] : listedNodes(cluster).map((node) => node.host)).every(isLoopback)
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const family = isIP(host)
  return family !== 0 && loopback.check(host, family === 4 ? 'ipv4' : 'ipv6')
}
