// What is picked, and the way from there to "yours".

import { checkOut, describeItem, hasToken, pictureUrl, purchase, release, useToken } from './api.browser.mjs'
import { rememberedUser, rememberUser } from './basket.browser.mjs'
import { formatClock, formatNumber, formatTime, stateNames, stateWords } from './format.browser.mjs'

const shortMs = 30_000
const missingState = stateNames.indexOf('missing')
const notes = [
  '',
  'Somebody holds it. It may be free again soon.',
  'Somebody has bought it.',
  "The server can't reach this item at the moment. It shows here as soon as it can.",
]
const byId = (id) => document.getElementById(id)
const blank = 'data:image/svg+xml,%3Csvg xmlns="http://www.w3.org/2000/svg"/%3E'

export class Panel extends EventTarget {
  #feed
  #basket
  #element = byId('panel')
  /** Id of the picked item. @type {string | undefined} */
  #id
  #index = 0
  /** State of an item that the board does not show, as it was when it was picked. */
  #stateBeyond = 0
  #isBusy = false
  #wasHeld = false
  #announce
  #toast

  constructor({ feed, basket, announce, toast }) {
    super()
    this.#feed = feed
    this.#basket = basket
    this.#announce = announce
    this.#toast = toast
    byId('user').value = rememberedUser()
    byId('checkout').addEventListener('submit', (event) => void this.#checkOut(event))
    byId('token').addEventListener('input', () => {
      useToken(byId('token').value.trim())
      this.#renderBuyer()
    })
    this.#renderBuyer()
    byId('purchase').addEventListener('click', () => void this.#purchase())
    byId('another').addEventListener('click', () => void this.#another())
    byId('picture').addEventListener('error', () => (byId('picture').src = blank))
    setInterval(() => this.render(), 250)
  }

  /** The id of the item that is shown. */
  get picked() {
    return this.#id
  }

  /** Whether what is shown is held for this buyer. */
  get isHolding() {
    return this.#element.dataset.deal === 'held'
  }

  /** Whether an answer is waited for: until it is there, the feed may tell of a hold that is this buyer's own. */
  get isAsking() {
    return this.#isBusy
  }

  /** `index`: its number in the sale, from 1 */
  pick(id, index) {
    this.#id = id
    this.#index = index
    this.#wasHeld = false
    this.#stateBeyond = 0
    this.#problem(undefined)
    byId('name').textContent = `Item ${formatNumber(index)}`
    byId('item-id').textContent = id
    byId('picture').src = pictureUrl(id)
    void this.#name(id)
    this.render()
    byId('name').focus({ preventScroll: !isStatic(this.#element) })
  }

  clear() {
    this.#id = undefined
    this.render()
    this.dispatchEvent(new Event('clear'))
  }

  /** Shows things as they are now: run on every change, and four times a second for the countdowns. */
  render() {
    const { terms, moment } = this.#feed
    const isSoldOut = terms !== undefined && moment.sold >= terms.items
    const isTaken = !isSoldOut && terms !== undefined && this.#feed.available <= 0 && moment.held > 0
    const rest = isSoldOut ? 'sold-out' : isTaken ? 'taken' : 'empty'
    this.#element.dataset.view = this.#id !== undefined ? 'item' : rest
    this.#renderMine()
    if (this.#id === undefined) {
      this.#element.dataset.deal = 'none'
      return
    }
    const deal = this.#basket.get(this.#id)
    const nowMs = this.#feed.now()
    const isYours = deal?.purchasedAtMs !== undefined
    const isHeld = deal !== undefined && !isYours && deal.expiresAtMs > nowMs
    if (this.#wasHeld && !isHeld && !isYours) this.#expired()
    this.#wasHeld = isHeld
    const state = this.#state()
    this.#element.dataset.deal = isYours ? 'yours' : isHeld ? 'held' : 'none'
    byId('checkout').hidden = isYours || isHeld || state !== 0
    byId('hold').hidden = !isHeld
    byId('yours').hidden = !isYours
    const chip = byId('item-state')
    chip.textContent = isYours ? 'yours' : isHeld ? 'held for you' : stateWords[state]
    chip.dataset.state = isYours ? 'yours' : isHeld ? 'held' : stateNames[state]
    const note = isYours || isHeld ? '' : notes[state]
    byId('note').hidden = note === ''
    byId('note').textContent = note
    for (const id of ['checkout', 'hold'])
      for (const button of byId(id).querySelectorAll('button')) button.disabled = this.#isBusy
    if (isHeld) this.#renderHold(deal, nowMs, terms)
    if (isYours) byId('yours-text').textContent = `Purchased at ${formatTime(deal.purchasedAtMs)}.`
  }

  /** Of the picked item. One of another sale counts as available: the API says what became of it. */
  #state() {
    const { terms, states } = this.#feed
    if (!this.#id.startsWith(`${terms?.sale}-`)) return 0
    const place = this.#index - 1
    return this.#feed.isMissing(place) ? missingState : (states[place] ?? this.#stateBeyond)
  }

  #renderHold({ expiresAtMs }, nowMs, terms) {
    const leftMs = Math.min(expiresAtMs - nowMs, terms?.holdMs ?? Number.POSITIVE_INFINITY)
    byId('hold-left').textContent = formatClock(leftMs)
    byId('ring').style.strokeDashoffset = String(1 - Math.min(1, leftMs / (terms?.holdMs ?? leftMs)))
    byId('hold').classList.toggle('is-short', leftMs < shortMs)
  }

  #renderMine() {
    const deals = this.#basket.list(this.#feed.now())
    byId('mine').hidden = deals.length === 0
    const list = byId('mine-list')
    const wanted = deals.map(([id, { purchasedAtMs }]) => `${id} ${purchasedAtMs ? 'yours' : 'held'}`)
    if (list.dataset.shown === wanted.join()) return
    list.dataset.shown = wanted.join()
    list.replaceChildren(...deals.map(([id, deal]) => this.#mineEntry(id, deal)))
  }

  #mineEntry(id, { purchasedAtMs }) {
    const [, number] = id.split('-')
    const button = document.createElement('button')
    button.type = 'button'
    button.className = purchasedAtMs ? 'is-yours' : 'is-held'
    button.textContent = `Item ${formatNumber(Number(number))}, ${purchasedAtMs ? 'yours' : 'held'}`
    button.addEventListener('click', () =>
      this.dispatchEvent(new CustomEvent('revisit', { detail: { id, index: Number(number) } })),
    )
    const entry = document.createElement('li')
    entry.append(button)
    return entry
  }

  async #checkOut(event) {
    event.preventDefault()
    const id = this.#id
    const user = byId('user').value.trim()
    const index = this.#index
    await this.#deal(id, async () => {
      const { code, expires_at: expiresAt } = await checkOut(user, id)
      if (!hasToken()) rememberUser(user)
      byId('signing').hidden = true
      this.#basket.put(id, { code, expiresAtMs: Date.parse(expiresAt) })
      this.#say(id, `Item ${formatNumber(index)} is held for you.`)
    })
    if (this.#id === id && this.#basket.get(id)) byId('purchase').focus({ preventScroll: true })
  }

  async #purchase() {
    const id = this.#id
    const index = this.#index
    const deal = this.#basket.get(id)
    await this.#deal(id, async () => {
      const { purchased_at: purchasedAt } = await purchase(deal.code)
      this.#basket.put(id, { ...deal, purchasedAtMs: Date.parse(purchasedAt) })
      this.#say(id, `Item ${formatNumber(index)} is yours.`)
    })
    if (this.#id === id && this.#basket.get(id)?.purchasedAtMs) byId('name').focus({ preventScroll: true })
  }

  /** What is held is given back first: whoever picks another has made up their mind. */
  async #another() {
    const id = this.#id
    const index = this.#index
    const deal = this.#basket.get(id)
    if (deal?.expiresAtMs > this.#feed.now() && deal.purchasedAtMs === undefined) {
      await this.#deal(id, async () => {
        await release(deal.code)
        this.#basket.remove(id)
        this.#wasHeld = false // it did not run out
        this.#toast.tell(`Item ${formatNumber(index)} is given back.`)
      })
      if (this.#basket.get(id) === deal) return // it is still held, and why is shown
    }
    if (this.#id === id) this.clear()
  }

  /** One request at a time; what the API refuses is shown in its words. */
  async #deal(id, request) {
    if (this.#isBusy) return
    this.#isBusy = true
    this.#problem(undefined)
    this.render()
    try {
      await request()
    } catch (problem) {
      if (['code_expired', 'code_unknown'].includes(problem.code)) this.#basket.remove(id)
      if (this.#id === id) this.#problem(problem)
      else this.#toast.fail(`Item ${id}: ${problem.title ?? 'That did not work'}. ${problem.message}`)
    }
    this.#isBusy = false
    this.render()
    this.dispatchEvent(new Event('deal'))
  }

  /** What is shown of the item says it to the eye, while it is the one that is shown. */
  #say(id, text) {
    if (this.#id === id) this.#announce(text)
    else this.#toast.tell(text)
  }

  #expired() {
    this.#basket.remove(this.#id)
    this.#problem({ title: 'Your hold ran out', message: 'The item is up for everybody again, you among them.' })
    this.dispatchEvent(new Event('deal'))
  }

  /** A token says who the buyer is; without one the buyer does. */
  #renderBuyer() {
    const isSigned = hasToken()
    for (const id of ['user', 'user-label']) byId(id).hidden = isSigned
    byId('user').disabled = isSigned
  }

  #problem(problem) {
    if (problem?.code === 'unauthorized' || problem?.code === 'no_buyer') byId('signing').hidden = false
    const element = byId('problem')
    element.hidden = problem === undefined
    if (problem === undefined) return
    const title = document.createElement('b')
    title.textContent = problem.title ?? 'That did not work'
    element.replaceChildren(title, problem.message)
  }

  async #name(id) {
    const item = await describeItem(id).catch(() => undefined) // the number will do
    if (item === undefined || this.#id !== id) return
    byId('name').textContent = item.name
    this.#stateBeyond = Math.max(0, stateNames.indexOf(item.state))
  }
}

/** Where the panel doesn't come along when the page is scrolled, it has to be scrolled to. */
function isStatic(element) {
  return getComputedStyle(element).position === 'static'
}
