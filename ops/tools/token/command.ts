import { type Command, type Options, UsageError, wholeNumber } from '../../../core/command-line.mjs'
import { isUserId, userIdForm } from '../../../core/ids.ts'
import { tokenMinutesDefault, tokenMinutesMax } from '../../limits.ts'

export const issuerDefault = 'hotcakes-development'
export const audienceDefault = 'hotcakes'

export const tokenCommand = {
  name: 'npm run token',
  purpose: `Prints a token (JWT) of a buyer, to try APP_BUYERS=signed without an identity provider: the token alone on stdout, and
    on stderr the settings with which a server takes it. It is signed with a key of this machine's own, made at the first run
    in the folder token below APP_DATA_DIR: whoever can read it can be any buyer, so it is for development only.`,
  options: {
    user: { value: 'ID', read: userId, doc: 'the buyer; needed without --scope' },
    scope: { value: 'SCOPES', read: scopes, doc: 'the claim scope: that of APP_JWT_BACKEND_SCOPE acts for any buyer' },
    minutes: {
      value: 'N',
      read: wholeNumber({ min: 1, max: tokenMinutesMax }),
      default: tokenMinutesDefault,
      doc: 'how long it counts',
    },
    issuer: { value: 'TEXT', read: text, defaultMeans: `APP_JWT_ISSUER, else ${issuerDefault}`, doc: 'the claim iss' },
    audience: {
      value: 'TEXT',
      read: text,
      defaultMeans: `APP_JWT_AUDIENCE, else ${audienceDefault}`,
      doc: 'the claim aud',
    },
  },
  exits: { 0: 'printed', 1: 'not printed: a setting, or the folder of the key, says why', 2: 'wrong arguments' },
} satisfies Command<Options>

function userId(given: string): string {
  if (isUserId(given)) return given
  throw new UsageError(`must be ${userIdForm}`)
}

function scopes(given: string): string {
  if (/^[!#-[\]-~]+( [!#-[\]-~]+)*$/.test(given)) return given
  throw new UsageError('must be scopes with single spaces between them')
}

function text(given: string): string {
  if (/^[^\p{Cc}]{1,1024}$/u.test(given)) return given
  throw new UsageError('must be a text of at most 1024 characters')
}
