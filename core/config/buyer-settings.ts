import { algorithmNames, algorithmsDefault } from '../tokens/algorithms.ts'
import type { Setting } from './kinds.ts'

const claim = {
  format: 'hotcakes-text',
  pattern: /^[^\p{Cc}"\\]{1,255}$/u,
  allowed: 'at most 255 characters, no quote or backslash',
} as const
const line = {
  format: 'hotcakes-text',
  pattern: /^[^\p{Cc}]{1,1024}$/u,
} as const

/** Who a buyer is, in the order in which they are shown: `config.buyers`. */
export const buyerSettings = {
  mode: {
    format: 'hotcakes-choice',
    env: 'APP_BUYERS',
    default: 'open',
    choices: ['open', 'signed'],
    meant: { jwt: 'signed', token: 'signed', none: 'open' },
    doc: 'Who may act for a buyer. open: whoever writes that user_id, so that a gateway has to know the users. signed: whoever has a token (JWT) that says so; checkout, purchase and what a buyer has purchased need it.',
  },
  keys: {
    ...line,
    env: 'APP_JWT_KEYS',
    default: '',
    allowed: 'the path of a file, or an https:// URL',
    doc: 'The public keys that tokens are checked with: a file (JWKS, or PEM), or the URL of a JWKS. Both are looked at again while the server runs. npm run token makes a pair to try it with.',
  },
  issuer: {
    ...line,
    env: 'APP_JWT_ISSUER',
    reload: true,
    default: '',
    allowed: 'a text of at most 1024 characters',
    doc: 'Who must have issued a token: its claim iss, letter by letter. Needed with a URL.',
  },
  audience: {
    ...line,
    env: 'APP_JWT_AUDIENCE',
    reload: true,
    default: '',
    allowed: 'a text of at most 1024 characters',
    doc: 'Whom a token must be meant for: its claim aud, or one of several there. Needed with a URL, whose keys sign for others too.',
  },
  algorithms: {
    ...line,
    env: 'APP_JWT_ALGORITHMS',
    default: algorithmsDefault,
    allowed: `some of ${algorithmNames.join(', ')}, with commas between them`,
    doc: 'What a token may be signed with. Of HS256, HS384 and HS512 the key is a secret: they count only when they are named here and the file has such a key (kty oct).',
  },
  leewaySeconds: {
    format: 'hotcakes-integer',
    env: 'APP_JWT_LEEWAY_SECONDS',
    reload: true,
    // Clocks that are kept by NTP are within a second; a container host that has just woken up may be further off.
    default: 5,
    min: 0,
    max: 300,
    unit: 'seconds',
    doc: "How far this machine's clock may be off the issuer's: a token is taken for so long before and after its time.",
  },
  claim: {
    ...claim,
    env: 'APP_JWT_BUYER_CLAIM',
    reload: true,
    default: 'sub',
    doc: 'The claim of a token that names the buyer. Its value has to be a user id.',
  },
  backendScope: {
    format: 'hotcakes-text',
    env: 'APP_JWT_BACKEND_SCOPE',
    reload: true,
    default: '',
    defaultMeans: 'no token acts for other buyers',
    pattern: /^[!#-[\]-~]{1,255}$/,
    allowed: 'one scope: at most 255 characters of printable ASCII, no space, quote or backslash',
    doc: "The scope (claims scope or scp) whose token may act for any buyer: that of the shop's own backend.",
  },
  rateLimitPerBuyer: {
    format: 'hotcakes-integer',
    env: 'APP_RATE_LIMIT_PER_BUYER',
    reload: true,
    default: 0,
    min: 0,
    max: 1_000_000,
    unit: 'requests',
    doc: 'Requests a second of one buyer at one HTTP worker, from whatever addresses, with APP_BUYERS=signed. 0: any number. A backend is not counted.',
  },
} as const satisfies Readonly<Record<string, Setting>>
