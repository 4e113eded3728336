// `npm run token`: a token of a buyer, signed with a key of this machine's own. See command.ts.

import { SignJWT } from 'jose'

import { runCommand, UsageError, type Values } from '../../../core/command-line.mjs'
import { loadConfig } from '../../../core/config/load.ts'
import { failureText } from '../failure-text.ts'
import { audienceDefault, issuerDefault, tokenCommand } from './command.ts'
import { developmentAlgorithm, developmentKey } from './development-key.ts'

process.exitCode = await runCommand(tokenCommand, process.argv.slice(2), main)

async function main({ user, scope, minutes, ...asked }: Values<typeof tokenCommand.options>): Promise<number> {
  if (user === undefined && scope === undefined) throw new UsageError('--user is needed')
  try {
    // open: the file that APP_JWT_KEYS names may be the one that is made here.
    const { app, buyers } = loadConfig({ env: { ...process.env, APP_BUYERS: 'open' }, dotenvFile: '.env' })
    const issuer = asked.issuer ?? (buyers.issuer || issuerDefault)
    const audience = asked.audience ?? (buyers.audience || audienceDefault)
    const { kid, signer, keysFile } = await developmentKey(app.dataDir)
    const claims = { ...(user !== undefined && { [buyers.claim]: user }), ...(scope !== undefined && { scope }) }
    const nowSeconds = Math.floor(Date.now() / 1_000)
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: developmentAlgorithm, kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + minutes * 60)
      .sign(signer)
    const settings = {
      APP_BUYERS: 'signed',
      APP_JWT_KEYS: keysFile,
      APP_JWT_ISSUER: issuer,
      APP_JWT_AUDIENCE: audience,
    }
    process.stderr.write(`a server takes it for ${minutes} minutes with these settings:\n${settingsText(settings)}\n`)
    process.stdout.write(`${token}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`hotcakes token: ${failureText(error)}\n`)
    return 1
  }
}

/** As a shell takes them before a command. */
function settingsText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(' ')
}

function quoted(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
