// What became of a sale, or the list of them: the record as the API has it.

import { drawCurve } from './curve.browser.mjs'
import { formatDay, formatNumber, formatSpan } from './format.browser.mjs'

const pageRows = 20
const byId = (id) => document.getElementById(id)
const set = (id, text) => (byId(id).textContent = text)
const show = (id) => (byId(id).hidden = false)

const verdicts = {
  passed: ['Passed', 'Redis and Postgres agreed, item by item, buyer by buyer, attempt by attempt.'],
  breached: ['Breached', 'The audit found something that must not be. Its report says what: npm run audit.'],
  incomplete: ['Incomplete', 'Nothing was wrong in what could be checked; not all of it could be.'],
}
const unaudited = [
  'Not audited yet',
  'npm run audit compares what was answered with what is on record, also while the server sells.',
]

/** @throws Error for people */
async function ask(path) {
  const reply = await fetch(path, { cache: 'no-store' }).catch(() => undefined)
  if (reply === undefined) throw new Error('The server did not answer. Reload the page to try again.')
  const body = await reply.json().catch(() => undefined)
  if (!reply.ok)
    throw new Error([body?.title, body?.detail].filter(Boolean).join('. ') || `The server answered ${reply.status}.`)
  const lag = reply.headers.get('Hotcakes-Lag')
  if (lag !== null)
    set('freshness', `Everything that was decided up to ${formatSpan(Number(lag) * 1_000)} ago is in it.`)
  return body
}

function fail(error) {
  set('problem', error.message)
  show('problem')
}

const timeOf = (sale) => [Date.parse(sale.opens_at), Date.parse(sale.closes_at)]

async function showList(path = `/sales?limit=${pageRows}`) {
  const { sales, next } = await ask(path)
  byId('sales').append(...sales.map(entry))
  show('list')
  byId('older').hidden = next === null
  if (next !== null) byId('older').addEventListener('click', () => void showList(next).catch(fail), { once: true })
}

function entry(sale) {
  const [opensAtMs, closesAtMs] = timeOf(sale)
  const link = document.createElement('a')
  link.href = sale.state === 'open' ? '/' : `/past-sales/${sale.id}`
  const name = document.createElement('b')
  name.textContent = `Sale ${sale.id}`
  const texts = [
    sale.state === 'open' ? 'open now' : `${formatDay(opensAtMs)}, for ${formatSpan(closesAtMs - opensAtMs)}`,
    `${formatNumber(sale.items)} items`,
  ]
  link.append(
    name,
    ...texts.map((text) => {
      const part = document.createElement('span')
      part.textContent = text
      return part
    }),
  )
  const item = document.createElement('li')
  item.append(link)
  return item
}

/** Term, number, and what it means. */
function numbers(rows) {
  return rows.map(([term, value, meaning]) => {
    const row = document.createElement('div')
    const [dt, dd, small] = ['dt', 'dd', 'small'].map((name) => document.createElement(name))
    dt.textContent = term
    small.textContent = meaning
    dd.append(value, small)
    row.append(dt, dd)
    return row
  })
}

async function showSale(id) {
  byId('as-json').href = `/sales/${id}`
  const sale = await ask(`/sales/${id}`)
  document.title = `hotcakes: sale ${id}`
  showStory(sale)
  showRecord(sale)
  const { points } = await ask(`/sales/${id}/curve`)
  const [opensAtMs, closesAtMs] = timeOf(sale)
  const flat = points.flatMap(({ at, sold }) => [Date.parse(at) - opensAtMs, sold])
  const parts = { svg: byId('curve'), from: byId('curve-from'), middle: byId('curve-middle'), to: byId('curve-to') }
  const endMs = sale.state === 'open' ? Date.now() - opensAtMs : closesAtMs - opensAtMs
  drawCurve(parts, { points: flat, items: sale.items, nowMs: endMs, opensAtMs })
  set('goal', `of ${formatNumber(sale.items)}`)
}

function showStory(sale) {
  const [opensAtMs, closesAtMs] = timeOf(sale)
  const soldOutMs = sale.sold_out_at === null ? undefined : Date.parse(sale.sold_out_at) - opensAtMs
  set('title', `Sale ${sale.id}`)
  set(
    'when',
    sale.state === 'open'
      ? `${formatDay(opensAtMs)}, open until ${formatDay(closesAtMs)}`
      : `${formatDay(opensAtMs)}, open for ${formatSpan(closesAtMs - opensAtMs)}`,
  )
  byId('bar-sold').style.width = `${(sale.purchases / sale.items) * 100}%`
  const soFar = sale.state === 'open' && soldOutMs === undefined ? ' so far' : ''
  const sold = `${formatNumber(sale.purchases)} of ${formatNumber(sale.items)} items were sold${soFar}`
  set('summary', soldOutMs === undefined ? `${sold}.` : `${sold}: sold out ${formatSpan(soldOutMs)} after it opened.`)
  show('story')
}

function showRecord(sale) {
  const of = (key) => formatNumber(sale[key])
  byId('numbers').replaceChildren(
    ...numbers([
      ['Attempts', of('attempts'), 'checkouts, purchases and releases, each on record once'],
      ['Holds', of('holds'), 'checkouts that got an item'],
      ['Purchases', of('purchases'), 'items that were sold, none of them twice'],
      ['Releases', of('releases'), 'holds that were given back'],
      ['Repeats', of('repeats'), 'answered as the first time'],
      ['Limit', of('user_limit'), 'items for one buyer'],
    ]),
  )
  show('record')
  const rejections = Object.entries(sale.rejections).toSorted(([, a], [, b]) => b - a)
  byId('rejections').replaceChildren(
    ...numbers(rejections.map(([code, count]) => [code.replaceAll('_', ' '), formatNumber(count), ''])),
  )
  byId('refused').hidden = rejections.length === 0
  const [title, text] = verdicts[sale.audit?.verdict] ?? unaudited
  byId('verdict').dataset.verdict = sale.audit?.verdict ?? 'none'
  set(
    'verdict',
    sale.audit === null ? title : `${title}, ${formatDay(Date.parse(sale.audit.at))}, up to ${sale.audit.position}`,
  )
  set('verdict-text', text)
  show('audited')
}

const id = /^\/past-sales\/(.+)$/.exec(location.pathname)?.[1]
await (id === undefined ? showList() : showSale(id)).catch(fail)
document.querySelector('main').removeAttribute('aria-busy')
