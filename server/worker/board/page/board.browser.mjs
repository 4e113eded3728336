// The assembly point of the page.

import { findAvailable } from './api.browser.mjs'
import { Basket } from './basket.browser.mjs'
import { drawCurve } from './curve.browser.mjs'
import { Feed } from './feed.browser.mjs'
import { formatClock, formatDay, formatNumber, formatSpan, formatTime } from './format.browser.mjs'
import { Grid } from './grid.browser.mjs'
import { Panel } from './panel.browser.mjs'
import { Toast } from './toast.browser.mjs'
import { Waiting } from './waiting.browser.mjs'

const dayMs = 86_400_000
const byId = (id) => document.getElementById(id)
const say = (text) => (byId('announcer').textContent = text)

const feed = new Feed()
const basket = new Basket()
const itemId = (place) => `${feed.terms?.sale}-${place + 1}`
const grid = new Grid(byId('grid'), (place) => isMine(itemId(place)))
const toast = new Toast(byId('toast'), say)
const panel = new Panel({ feed, basket, announce: say, toast })
const waiting = new Waiting()

function isMine(id) {
  const deal = basket.get(id)
  return deal !== undefined && (deal.purchasedAtMs !== undefined || deal.expiresAtMs > feed.now())
}

function pick(place) {
  toast.hide()
  waiting.picked(place)
  grid.pick(place)
  panel.pick(itemId(place), place + 1)
}

async function pickAny() {
  const free = []
  for (const [place, state] of feed.states.entries()) if (state === 0) free.push(place)
  if (free.length > 0) return pick(free[Math.floor(Math.random() * free.length)])
  // There may be one beyond those that are shown.
  const found = await findAvailable().catch(() => undefined)
  if (found === undefined) toast.fail('No item is available at the moment.')
  else pick(Number(found.split('-')[1]) - 1)
}

function set(id, text) {
  const element = byId(id)
  if (element.textContent !== text) element.textContent = text
}

function showMoment() {
  const { terms, moment } = feed
  if (terms === undefined) return
  const { held, sold, now } = moment
  const { available } = feed
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
  const parts = {
    svg: byId('curve'),
    from: byId('curve-from'),
    middle: byId('curve-middle'),
    to: byId('curve-to'),
  }
  const { items, opensAtMs } = terms
  drawCurve(parts, { points: feed.curve, items, nowMs: now - opensAtMs, opensAtMs })
  if (sold >= items) showSoldOut()
  else showTaken()
  showClocks()
  panel.render()
  lookWaiting()
}

function lookWaiting() {
  const { isAsking, isHolding } = panel
  waiting.look({ states: feed.states, isMine: (place) => isMine(itemId(place)), isAsking, isBusy: isHolding })
}

/** Nothing is available, and what is held may be free again. */
function showTaken() {
  const { terms, moment, available } = feed
  const isTaken = available <= 0 && moment.held > 0
  const was = byId('taken-text').textContent
  const each = moment.held === 1 ? 'One is held' : `${formatNumber(moment.held)} are held`
  const text = isTaken
    ? `${each}, and ${formatNumber(moment.sold)} of the ${formatNumber(terms.items)} items are sold.`
    : ''
  if (isTaken && was === '') say(`All taken, for now. ${text}`)
  set('taken-text', text)
}

function showWaiting() {
  set('wait', waiting.isOn ? 'Stop waiting' : 'Tell me when one is free')
  byId('wait').setAttribute('aria-pressed', String(waiting.isOn))
  byId('waiting').hidden = !waiting.isOn
}

function showSoldOut() {
  waiting.end()
  byId('how-it-went').href = `/past-sales/${feed.terms.sale}`
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
    const isToday = left < dayMs / 2
    set(
      'next-at',
      `${isToday ? `at ${formatTime(terms.closesAtMs)}` : formatDay(terms.closesAtMs)}, with fresh hotcakes`,
    )
    const { holdEndsAt } = feed.moment
    byId('taken-ends').hidden = holdEndsAt === undefined
    if (holdEndsAt !== undefined) set('hold-ends-in', formatClock(holdEndsAt - feed.now()))
  }
  if (feed.link === 'stale') set('link', `Stale: last news ${formatClock(feed.silence * 1_000)} ago`)
}

feed.addEventListener('state', ({ detail }) => {
  const { terms } = feed
  set('sale', String(terms.sale))
  byId('number').max = terms.items
  if (detail.isNew) {
    basket.keep(terms.sale, feed.now())
    set('sold-out-text', '')
    set('taken-text', '')
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
  const words = { live: 'Live', polling: 'Every few seconds' }[feed.link]
  if (words !== undefined) set('link', words)
  byId('blocked').hidden = feed.link !== 'polling'
  if (feed.link === 'polling') say(byId('blocked').textContent)
  showClocks()
})

grid.addEventListener('pick', ({ detail }) => pick(detail))
panel.addEventListener('clear', () => {
  grid.pick(-1)
  waiting.picked(-1)
})
waiting.addEventListener('change', showWaiting)
waiting.addEventListener('found', ({ detail }) => {
  pick(detail)
  toast.tell(`Item ${formatNumber(detail + 1)} is free. Check it out before somebody else does.`)
})
waiting.addEventListener('lost', ({ detail }) => {
  if (panel.picked === itemId(detail)) panel.clear()
  toast.tell(`Somebody was quicker with item ${formatNumber(detail + 1)}. The next one that is free is yours to try.`)
})
panel.addEventListener('deal', () => {
  grid.redraw()
  lookWaiting()
})
panel.addEventListener('revisit', ({ detail: { id, index } }) => {
  if (id === itemId(index - 1)) pick(index - 1)
  else panel.pick(id, index)
})
byId('find').addEventListener('submit', (event) => {
  event.preventDefault()
  const number = Number(byId('number').value)
  const items = feed.terms?.items ?? 0
  if (number >= 1 && number <= items) pick(number - 1)
  else toast.fail(`There is no item ${byId('number').value.slice(0, 20)}. They go from 1 to ${formatNumber(items)}.`)
})
for (const id of ['any', 'any-too']) byId(id).addEventListener('click', () => void pickAny())
byId('wait').addEventListener('click', () => waiting.toggle())
void document.fonts.ready.then(() => grid.redraw())
setInterval(showClocks, 250)
feed.start()
