// usage: node dist/ops/container/secrets.js DIR
// Makes the passwords of a container stack, each in a file of its own, and Redis' list of users with their digests. What
// is there stays: it is run at every start of the stack, before everything else.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const names = [
  'redis-password',
  'redis-audit-password',
  'postgres-password',
  'db-owner-password',
  'db-password',
  'db-audit-password',
  'db-reader-password',
  'grafana-admin-password',
] as const

/** Read by containers that run as other users; the folder is a volume that only they have. */
const fileMode = 0o444
const passwordBytes = 24

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: secrets.js DIR')

for (const name of names) {
  const path = join(folder, name)
  if (!existsSync(path)) writeFileSync(path, randomBytes(passwordBytes).toString('base64url'), { mode: fileMode })
}
const users = readFileSync(new URL('../redis/users.acl', import.meta.url), 'utf8')
  .replace('@HOTCAKES@', digestOf('redis-password'))
  .replace('@HOTCAKES_AUDIT@', digestOf('redis-audit-password'))
// Nobody can use the user `default`, but Redis replays its append-only file with its rights.
const usersFile = join(folder, 'users.acl')
rmSync(usersFile, { force: true })
writeFileSync(usersFile, `${users.trim()}\nuser default off ~* &* +@all\n`, { mode: fileMode })

function digestOf(name: (typeof names)[number]): string {
  return createHash('sha256')
    .update(readFileSync(join(folder ?? '', name)))
    .digest('hex')
}
