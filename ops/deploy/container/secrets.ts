// usage: node dist/ops/deploy/container/secrets.js DIR [cluster]
// Makes the passwords of a container stack, each in a file of DIR/all, and gives each service a folder with copies of those
// that it needs: every folder is a volume. With `cluster` also those of the nodes of a Redis Cluster. What is there stays: it is
// run at every start of the stack, before everything else.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const usersFile = 'users.acl'
/** Of the nodes of a cluster: these have two users more, and copy from each other as one of them. */
const nodeUsersFile = 'node-users.acl'
const replicationFile = 'replication.conf'
const needsOfAll = {
  redis: [usersFile],
  postgres: ['postgres-password', 'db-owner-password', 'db-password', 'db-audit-password', 'db-reader-password'],
  hotcakes: ['db-owner-password', 'db-password', 'redis-password'],
  audit: ['db-audit-password', 'redis-audit-password'],
  grafana: ['grafana-admin-password'],
}
const needsOfCluster = {
  nodes: [nodeUsersFile, replicationFile],
  cluster: ['redis-setup-password'],
}
/** In no file of a service but in what is made of it. */
const replicaPassword = 'redis-replica-password'

/** Read by containers that run as other users; a folder is a volume that only one of them has. */
const fileMode = 0o444
const passwordBytes = 24

const [folder, extra] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: secrets.js DIR [cluster]')
const all = join(folder, 'all')
const isCluster = extra === 'cluster'
const needs: Readonly<Record<string, readonly string[]>> = { ...needsOfAll, ...(isCluster ? needsOfCluster : {}) }

mkdirSync(all, { recursive: true })
const passwords = Object.values(needs)
  .flat()
  .filter((name) => name.endsWith('-password'))
for (const name of new Set([...passwords, ...(isCluster ? [replicaPassword] : [])])) {
  if (!existsSync(join(all, name))) write(all, name, randomBytes(passwordBytes).toString('base64url'))
}
const users = usersOf('users.acl')
  .replace('@HOTCAKES@', digestOf('redis-password'))
  .replace('@HOTCAKES_AUDIT@', digestOf('redis-audit-password'))
// Nobody can use the user `default`, but Redis replays its append-only file with its rights.
const lines = `${users}\nuser default off ~* &* +@all\n`
write(all, usersFile, lines)
if (isCluster) {
  const nodeUsers = usersOf('cluster-users.acl')
    .replace('@HOTCAKES_SETUP@', digestOf('redis-setup-password'))
    .replace('@HOTCAKES_REPLICA@', digestOf(replicaPassword))
  write(all, nodeUsersFile, `${lines}${nodeUsers}\n`)
  write(all, replicationFile, `masteruser hotcakes_replica\nmasterauth ${textOf(replicaPassword)}\n`)
}

for (const [service, names] of Object.entries(needs)) {
  mkdirSync(join(folder, service), { recursive: true })
  for (const name of names) write(join(folder, service), name, textOf(name))
}

/** Appears with its contents or not at all: a start that is cut short must not leave half a password. */
function write(directory: string, name: string, text: string): void {
  const draft = join(directory, `.${name}.${process.pid}`)
  writeFileSync(draft, text, { mode: fileMode })
  renameSync(draft, join(directory, name))
}

function usersOf(file: string): string {
  return readFileSync(new URL(`../redis/${file}`, import.meta.url), 'utf8').trim()
}

function textOf(name: string): string {
  return readFileSync(join(all, name), 'utf8')
}

function digestOf(name: string): string {
  return createHash('sha256').update(textOf(name)).digest('hex')
}
