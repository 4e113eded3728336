// The server's API, as any client would use it.

/** A problem that the API answered, or that there was no answer. */
export class Problem extends Error {
  constructor({ code, title, detail }) {
    super(detail)
    this.code = code
    this.title = title
  }
}

const noAnswer = {
  code: 'no_answer',
  title: 'The server did not answer',
  detail: 'Nothing is lost by trying again: the same request has the same effect as once.',
}

const tokenKey = 'hotcakes.token'
let token = tokenInAddress() ?? rememberedToken()

/** Of a server whose buyers are signed: from the page's address, /#token=..., which it doesn't stay in. */
function tokenInAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')
  if (given === null) return undefined
  history.replaceState(null, '', location.pathname)
  rememberToken(given)
  return given
}

function rememberedToken() {
  try {
    return sessionStorage.getItem(tokenKey) ?? ''
  } catch {
    return '' // storage is off
  }
}

function rememberToken(text) {
  try {
    sessionStorage.setItem(tokenKey, text)
  } catch {
    // Storage is off: the token lives as long as the page.
  }
}

/** Whether requests carry a token: then it says who the buyer is. */
export function hasToken() {
  return token !== ''
}

export function useToken(text) {
  token = text
  rememberToken(text)
}

/** @throws Problem */
async function send(method, path) {
  let reply
  const headers = token === '' ? {} : { Authorization: `Bearer ${token}` }
  try {
    reply = await fetch(path, { method, headers, cache: 'no-store' })
  } catch {
    throw new Problem(noAnswer) // the network's own message says nothing to people
  }
  const body = await reply.json().catch(() => undefined)
  if (reply.ok && body !== undefined) return body
  throw new Problem(body?.code ? body : { ...noAnswer, title: `The server answered ${reply.status}` })
}

/** @returns {Promise<{ code: string, item_id: string, expires_at: string }>} @throws Problem */
export function checkOut(user, id) {
  return send('POST', `/checkout?${new URLSearchParams(hasToken() ? { id } : { user_id: user, id })}`)
}

/** @returns {Promise<{ item_id: string, purchased_at: string }>} @throws Problem */
export function purchase(code) {
  return send('POST', `/purchase?${new URLSearchParams({ code })}`)
}

/** @returns {Promise<{ item_id: string }>} @throws Problem */
export function release(code) {
  return send('POST', `/release?${new URLSearchParams({ code })}`)
}

/** @returns {Promise<{ name?: string }>} @throws Problem */
export function describeItem(id) {
  return send('GET', `/items/${encodeURIComponent(id)}`)
}

/** Of the items that the page doesn't show as well. @returns {Promise<string | undefined>} its id @throws Problem */
export async function findAvailable() {
  const { items } = await send('GET', '/items?state=available&limit=1')
  return items[0]?.id
}

export function pictureUrl(id) {
  return `/items/${encodeURIComponent(id)}/picture.svg`
}
