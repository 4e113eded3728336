// Goal: what a worker does with a token in moments that no client can choose: keys that come and go while it is looked at, a
// client that has gone, and forgers who send what no issuer does.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { Registry } from 'prom-client'

import { loadConfig } from '../../../core/config/load.ts'
import type { TokenKeysMessage } from '../../../core/ipc.ts'
import type { TokenJwk } from '../../../core/tokens/key-set.ts'
import type { Reply } from '../http/replies.ts'
import { badSignaturesMax, keyWaitMsMax } from '../limits.ts'
import type { Identity } from './identity.ts'
import { SignedBuyers } from './signed-buyers.ts'
import { tokenRefusals } from './token-refusals.ts'

const longMs = 600_000

async function signer(kid: string) {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid } as TokenJwk
  const token = (user: string) =>
    new SignJWT({ sub: user, exp: Math.floor(Date.now() / 1_000) + 600 })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(privateKey)
  return { jwk, token }
}

const [known, rotated] = await Promise.all([signer('known'), signer('rotated')])

function keysMessage(keys: readonly TokenJwk[], { againInMs = longMs } = {}): TokenKeysMessage {
  return { type: 'token_keys', keys, seenMs: Date.now(), againInMs, isAway: false }
}

/** A request on its way, and what came of it. */
class Asked {
  isGone = false
  answer: Reply | 'shed' | Identity | undefined
  readonly authorization: string
  readonly address: string

  constructor(token: string, address = 'somewhere') {
    this.authorization = `Bearer ${token}`
    this.address = address
  }

  readonly reply = (reply: Reply): void => {
    this.answer = reply
  }

  readonly shed = (): void => {
    this.answer = 'shed'
  }

  of(buyers: SignedBuyers): this {
    const onIdentity = (identity: Identity) => {
      this.answer = identity
    }
    const { authorization, address } = this
    buyers.check({ exchange: this, authorization, isRepeated: false, address, onIdentity })
    return this
  }
}

async function untilAnswered(all: readonly Asked[]): Promise<void> {
  while (all.some(({ answer }) => answer === undefined)) await nextTurn()
}

async function withKeys(message: TokenKeysMessage): Promise<SignedBuyers> {
  const { app, buyers: settings } = loadConfig({ env: {} })
  const config = { app, buyers: { ...settings, mode: 'signed' as const } }
  const buyers = new SignedBuyers({ config, registry: new Registry(), askForKeys: () => undefined })
  buyers.takeKeys(message)
  await buyers.haveKeys
  return buyers
}

test('a key that is withdrawn while its signature is checked leaves no token behind', async (t) => {
  const buyers = await withKeys(keysMessage([known.jwk]))
  t.after(() => buyers.close())
  const asked = new Asked(await known.token('ann')).of(buyers)
  // No key is new, so nothing takes time: they are taken in before the signature is checked, on another thread.
  buyers.takeKeys(keysMessage([]))
  await untilAnswered([asked])
  const { answer } = asked
  assert.ok(answer !== tokenRefusals.key_unknown, 'it was checked with a key that was there when it came')
  assert.equal(buyers.known(asked.authorization), undefined)
  assert.equal(new Asked(asked.authorization.slice(7)).of(buyers).answer, tokenRefusals.key_unknown)
})

test('who has gone while the keys were looked for has no signature checked', async (t) => {
  const buyers = await withKeys(keysMessage([known.jwk], { againInMs: 0 }))
  t.after(() => buyers.close())
  const [leaver, stays] = [new Asked(await rotated.token('leaver')), new Asked(await rotated.token('stays'))]
  for (const asked of [leaver, stays]) assert.equal(asked.of(buyers).answer, undefined, 'it waits for keys')
  leaver.isGone = true
  buyers.takeKeys(keysMessage([known.jwk, rotated.jwk]))
  await untilAnswered([stays])
  assert.equal(buyers.known(stays.authorization)?.buyer, 'stays')
  assert.equal(leaver.answer, undefined)
  assert.equal(buyers.known(leaver.authorization), undefined)
})

test('keys that came while the worker stood still are read before whoever waits for them is sent away', async (t) => {
  const buyers = await withKeys(keysMessage([known.jwk], { againInMs: 0 }))
  t.after(() => buyers.close())
  const token = await rotated.token('waits')
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const asked = new Asked(token).of(buyers)
  // As a standstill leaves it: the limit is over, and the keys are the next thing to be read.
  setImmediate(() => buyers.takeKeys(keysMessage([known.jwk, rotated.jwk])))
  t.mock.timers.tick(keyWaitMsMax)
  await untilAnswered([asked])
  assert.equal(buyers.known(asked.authorization)?.buyer, 'waits')
})

/** What the look lets pass. No base64url has the second length. */
const forgeries = {
  signature: () => randomBytes(64).toString('base64url'),
  malformed: () => `${randomBytes(63).toString('base64url')}A`,
} as const

for (const [refusal, signature] of Object.entries(forgeries)) {
  test(`whoever sends what no issuer signs (${refusal}) leaves the time to others`, async (t) => {
    const buyers = await withKeys(keysMessage([known.jwk]))
    t.after(() => buyers.close())
    const others = await Promise.all(Array.from({ length: 8 }, (_, n) => known.token(`other-${n}`)))
    const start = (await known.token('victim')).split('.').slice(0, 2).join('.')
    let asked = 0
    for (;;) {
      assert.ok(asked < 10_000, 'it is a suspect by then')
      // Many at once: how long they take is not what they cost.
      const all = Array.from({ length: 32 }, () => new Asked(`${start}.${signature()}`, 'of a forger').of(buyers))
      asked += all.length
      if (all.some(({ answer }) => answer === 'shed')) break
      await untilAnswered(all)
      for (const { answer } of all) assert.equal(answer, tokenRefusals[refusal as keyof typeof forgeries])
    }
    assert.ok(asked > badSignaturesMax)
    // In the same turn: a budget that a forger has used up has time for one of them at most.
    const answers = others.map((token, n) => new Asked(token, `of buyer ${n}`).of(buyers).answer)
    assert.deepEqual(new Set(answers), new Set([undefined]), 'they are being checked')
  })
}
