// usage: node dist/ops/deploy/container/secrets.js DIR
// Makes the passwords of a container stack, each in a file of DIR/all, and gives each service a folder with copies of those
// that it needs: every folder is a volume. What is there stays: it is run at every start of the stack, before everything else.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const usersFile = 'users.acl'
const needs = {
  redis: [usersFile],
  postgres: ['postgres-password', 'db-owner-password', 'db-password', 'db-audit-password', 'db-reader-password'],
  hotcakes: ['db-owner-password', 'db-password', 'redis-password'],
  audit: ['db-audit-password', 'redis-audit-password'],
  grafana: ['grafana-admin-password'],
} as const

/** Read by containers that run as other users; a folder is a volume that only one of them has. */
const fileMode = 0o444
const passwordBytes = 24

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: secrets.js DIR')
const all = join(folder, 'all')

mkdirSync(all, { recursive: true })
for (const name of new Set(Object.values(needs).flat())) {
  if (name !== usersFile && !existsSync(join(all, name)))
    write(all, name, randomBytes(passwordBytes).toString('base64url'))
}
const users = readFileSync(new URL('../redis/users.acl', import.meta.url), 'utf8')
  .replace('@HOTCAKES@', digestOf('redis-password'))
  .replace('@HOTCAKES_AUDIT@', digestOf('redis-audit-password'))
// Nobody can use the user `default`, but Redis replays its append-only file with its rights.
write(all, usersFile, `${users.trim()}\nuser default off ~* &* +@all\n`)

for (const [service, names] of Object.entries(needs)) {
  mkdirSync(join(folder, service), { recursive: true })
  for (const name of names) write(join(folder, service), name, readFileSync(join(all, name), 'utf8'))
}

/** Appears with its contents or not at all: a start that is cut short must not leave half a password. */
function write(directory: string, name: string, text: string): void {
  const draft = join(directory, `.${name}.${process.pid}`)
  writeFileSync(draft, text, { mode: fileMode })
  renameSync(draft, join(directory, name))
}

function digestOf(name: string): string {
  return createHash('sha256')
    .update(readFileSync(join(all, name)))
    .digest('hex')
}
