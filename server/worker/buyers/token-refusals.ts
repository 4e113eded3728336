import { problemReply } from '../http/problems.ts'
import type { Reply } from '../http/replies.ts'
import type { VerifyRefusal } from './verify-token.ts'

/** Why a request is not let in for its token. Each is a label of a metric as well. */
export type TokenRefusal = VerifyRefusal | 'missing' | 'scheme' | 'repeated' | 'key_unknown' | 'no_buyer'

const realm = 'Bearer realm="hotcakes"'

/** What RFC 6750, 3.1 has for a token that is no good. Nothing of the token is in it. */
function challenged(description: string): Reply {
  const challenge = `${realm}, error="invalid_token", error_description="${description}"`
  return problemReply('unauthorized', { detail: `${description}.`, header: `WWW-Authenticate: ${challenge}` })
}

/** All answers there can be, made beforehand: a flood of bad tokens should cost next to nothing. */
export const tokenRefusals: Readonly<Record<TokenRefusal, Reply>> = {
  // Without a token there is no error to tell: RFC 6750, 3.1.
  missing: problemReply('unauthorized', { header: `WWW-Authenticate: ${realm}` }),
  scheme: problemReply('unauthorized', {
    detail: 'The header Authorization is not Bearer and one token.',
    header: `WWW-Authenticate: ${realm}`,
  }),
  repeated: problemReply('invalid_request', {
    detail: 'The header Authorization is given more than once.',
    header: `WWW-Authenticate: ${realm}, error="invalid_request"`,
  }),
  malformed: challenged('The token is no signed JWT that can be read'),
  algorithm: challenged('The token is signed with an algorithm that is not allowed here'),
  key_unknown: challenged('The token names a key that is not known here'),
  no_expiry: challenged('The token has no expiry (exp)'),
  expired: challenged('The token has expired'),
  not_yet: challenged('The token is not valid yet (nbf)'),
  issuer: challenged('The token is of another issuer (iss)'),
  audience: challenged('The token is meant for somebody else (aud)'),
  signature: challenged('The signature of the token is wrong'),
  no_buyer: problemReply('no_buyer', { header: `WWW-Authenticate: ${realm}, error="insufficient_scope"` }),
}

/** 403 for what another buyer's token asks for; with the scope that may, where there is one. */
export function mismatchReply(backendScope: string): Reply {
  const scope = backendScope === '' ? '' : `, scope="${backendScope}"`
  return problemReply('buyer_mismatch', { header: `WWW-Authenticate: ${realm}, error="insufficient_scope"${scope}` })
}
