// The assembly point of the page.

import { Basket } from './basket.browser.mjs'
import { drawCurve } from './curve.browser.mjs'
import { Feed } from './feed.browser.mjs'
import { formatClock, formatNumber, formatSpan, formatTime, stateWords } from './format.browser.mjs'
import { Grid } from './grid.browser.mjs'
import { Panel } from './panel.browser.mjs'

const byId = (id) => document.getElementById(id)
const say = (text) => (byId('announcer').textContent = text)

const feed = new Feed()
const basket = new Basket()
const itemId = (place) => `${feed.terms?.sale}-${place + 1}`
const grid = new Grid(byId('grid'), (place) => isMine(itemId(place)))
const panel = new Panel({ feed, basket, announce: say })

function isMine(id) {
  const deal = basket.get(id)
  return deal !== undefined && (deal.purchasedAtMs !== undefined || deal.expiresAtMs > feed.now())
}

function pick(place) {
  grid.pick(place)
  panel.pick(itemId(place), place + 1)
}

function pickAny() {
  const free = []
  for (const [place, state] of feed.states.entries()) if (state === 0) free.push(place)
  if (free.length > 0) pick(free[Math.floor(Math.random() * free.length)])
  else say('No item is available at the moment.')
}

function set(id, text) {
  const element = byId(id)
  if (element.textContent !== text) element.textContent = text
}

function showMoment() {
  const { terms, moment } = feed
  if (terms === undefined) return
  const { held, sold, now } = moment
  const available = terms.items - held - sold - feed.missing
  set('goal', `of ${formatNumber(terms.items)}`)
  set('sold', sold >= terms.items ? 'Sold out' : formatNumber(sold))
  set(
    'of-items',
    sold >= terms.items ? `all ${formatNumber(terms.items)} items` : `of ${formatNumber(terms.items)} sold`,
  )
  for (const id of ['any', 'any-too']) byId(id).disabled = available === 0
  for (const [name, count] of Object.entries({ available, held, sold })) set(`count-${name}`, formatNumber(count))
  byId('bar-sold').style.width = `${(sold / terms.items) * 100}%`
  byId('bar-held').style.width = `${(held / terms.items) * 100}%`
  set('holds-rate', formatNumber(moment.holdsPerSecond))
  set('purchases-rate', formatNumber(moment.purchasesPerSecond))
  const parts = { svg: byId('curve'), from: byId('curve-from'), to: byId('curve-to') }
  drawCurve(parts, { points: feed.curve, items: terms.items, nowMs: now - terms.opensAtMs })
  if (sold >= terms.items) showSoldOut()
  panel.render()
}

function showSoldOut() {
  const [firstMs, lastMs] = [feed.curve[0] ?? 0, feed.curve.at(-2) ?? 0]
  const text = `All ${formatNumber(feed.terms.items)} items went within ${formatSpan(Math.max(lastMs - firstMs, 100))}.`
  if (byId('sold-out-text').textContent === text) return
  set('sold-out-text', text)
  say(`The sale is sold out. ${text}`)
}

/** Which part of the sale can't be decided at the moment: said when it changes, shown as long as it is so. */
function showMissing() {
  const { missing, terms } = feed
  const isMissing = missing > 0
  const wasMissing = !byId('missing').hidden
  const text = isMissing
    ? `${formatNumber(missing)} of the ${formatNumber(terms.items)} items are out of reach at the moment, and count neither as held nor as sold.`
    : ''
  byId('missing').hidden = byId('legend-missing').hidden = !isMissing
  set('count-missing', formatNumber(missing))
  if (isMissing && byId('missing-text').textContent !== text) say(`${text} ${byId('missing-rest').textContent}`)
  if (!isMissing && wasMissing) say('All items of the sale are within reach again.')
  set('missing-text', text)
}

function showClocks() {
  const { terms } = feed
  if (terms !== undefined) {
    const left = terms.closesAtMs - feed.now()
    set('closes-in', formatClock(left))
    set('next-in', formatClock(left))
    set('next-at', `at ${formatTime(terms.closesAtMs)}, with fresh items`)
  }
  if (feed.link === 'stale') set('link', `Stale: last news ${formatClock(feed.silence * 1_000)} ago`)
}

feed.addEventListener('state', ({ detail }) => {
  const { terms } = feed
  set('sale', String(terms.sale))
  byId('number').max = terms.items
  if (detail.isNew) {
    basket.keep(terms.sale, feed.now())
    byId('next-sale').hidden = true
    byId('next').setAttribute('aria-expanded', 'false')
    set('sold-out-text', '')
    if (panel.picked && !isMine(panel.picked)) panel.clear()
    grid.pick(-1)
  }
  showMissing()
  grid.show(feed.states)
  byId('beyond').hidden = feed.states.length === terms.items
  set('beyond', `These are the first ${formatNumber(feed.states.length)}; every other item can be found by its number.`)
})
feed.addEventListener('changes', ({ detail }) => grid.change(detail))
feed.addEventListener('moment', showMoment)
feed.addEventListener('link', () => {
  document.documentElement.dataset.link = feed.link
  if (feed.link === 'live') set('link', 'Live')
  showClocks()
})

grid.addEventListener('pick', ({ detail }) => pick(detail))
grid.addEventListener('point', ({ detail }) => {
  set('hint', `Item ${formatNumber(detail + 1)}: ${isMine(itemId(detail)) ? 'yours' : stateWords[feed.states[detail]]}`)
})
panel.addEventListener('clear', () => grid.pick(-1))
panel.addEventListener('deal', () => grid.redraw())
panel.addEventListener('revisit', ({ detail: { id, index } }) => {
  if (id === itemId(index - 1)) pick(index - 1)
  else panel.pick(id, index)
})
byId('find').addEventListener('submit', (event) => {
  event.preventDefault()
  const number = Number(byId('number').value)
  if (number >= 1 && number <= (feed.terms?.items ?? 0)) pick(number - 1)
  else say(`There is no item ${byId('number').value}.`)
})
for (const id of ['any', 'any-too']) byId(id).addEventListener('click', pickAny)
byId('next').addEventListener('click', () => {
  byId('next-sale').hidden = !byId('next-sale').hidden
  byId('next').setAttribute('aria-expanded', String(!byId('next-sale').hidden))
  showClocks()
})
void document.fonts.ready.then(() => grid.redraw())
setInterval(showClocks, 250)
feed.start()
