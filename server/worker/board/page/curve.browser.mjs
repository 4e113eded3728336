import { formatMoment, formatNumber, formatSpan } from './format.browser.mjs'

const width = 320
const height = 96
/** An end with few sales in it may be so many times as long as the middle is, and no longer. */
const tailMax = 2

/**
 * Which times the curve shows: a rush that is over in seconds must not be a step in an hour, whether a few items were sold long
 * before it or long after.
 * @param {number[]} points ms since the opening and items sold, in turn
 * @param {{ items: number, nowMs: number }} sale
 */
export function curveRange(points, { items, nowMs }) {
  const [firstMs, lastMs, sold] = ends(points)
  const few = sold < 4 ? 0 : Math.max(1, Math.floor(sold / 50))
  const timeOf = (count) => points[points.findIndex((value, at) => at % 2 === 1 && value >= count) - 1] ?? lastMs
  const [fromMs, toMs] = [timeOf(few + 1), timeOf(sold - few)]
  const middleMs = Math.max(toMs - fromMs, 1_000)
  const isEarlyCut = fromMs - firstMs > tailMax * middleMs
  const isLateCut = lastMs - toMs > tailMax * middleMs
  let startMs = isEarlyCut ? fromMs - middleMs / 10 : firstMs
  let endMs = isLateCut ? toMs + middleMs / 2 : lastMs
  const spanMs = Math.max(endMs - startMs, 1_000)
  if (startMs <= spanMs / 4) startMs = 0
  if (sold < items && !isLateCut) endMs = Math.max(endMs, Math.min(nowMs, endMs + spanMs / 2))
  return { startMs, endMs: Math.max(endMs, startMs + 1_000), isEarlyCut, isLateCut }
}

/**
 * Draws what was sold over time.
 * @param {{ svg: SVGElement, from: HTMLElement, middle: HTMLElement, to: HTMLElement }} parts
 * @param {{ points: number[], items: number, nowMs: number, opensAtMs: number }} sale times in ms since the opening
 */
export function drawCurve({ svg, from, middle, to }, { points, items, nowMs, opensAtMs }) {
  if (points.length === 0) {
    for (const path of svg.children) path.setAttribute('d', '')
    svg.setAttribute('aria-label', 'Nothing is sold yet.')
    from.textContent = middle.textContent = to.textContent = ''
    return
  }
  const { startMs, endMs, isEarlyCut, isLateCut } = curveRange(points, { items, nowMs })
  const x = (ms) => (((ms - startMs) / (endMs - startMs)) * width).toFixed(1)
  const y = (count) => (height - 2 - (count / items) * (height - 4)).toFixed(1)
  let before = 0
  let line = ''
  for (let at = 0; at < points.length; at += 2) {
    const [ms, count] = [points[at], points[at + 1]]
    if (ms > endMs) break
    if (ms >= startMs) line += `L${x(ms)} ${y(count)}`
    else before = count
  }
  const atEnd = points.findLast((_, at) => at % 2 === 1 && points[at - 1] <= endMs) ?? 0
  line = `M0 ${y(before)}${line}L${x(endMs)} ${y(atEnd)}`
  const [area, stroke] = svg.children
  stroke.setAttribute('d', line)
  area.setAttribute('d', `${line}L${x(endMs)} ${height}L0 ${height}Z`)
  const moment = (ms) => formatMoment(opensAtMs + ms, endMs - startMs)
  const [firstMs, lastMs, sold] = ends(points)
  svg.setAttribute(
    'aria-label',
    `${formatNumber(sold)} of ${formatNumber(items)} sold within ${formatSpan(lastMs - firstMs)}, the first at ${moment(firstMs)}, the last at ${moment(lastMs)}.`,
  )
  from.textContent = `${isEarlyCut ? '… ' : ''}${moment(startMs)}`
  middle.textContent = moment((startMs + endMs) / 2)
  to.textContent = `${moment(endMs)}${isLateCut ? ' …' : ''}`
}

/** When the first and the last item was sold, and how many were. */
function ends(points) {
  return [points[0] ?? 0, points.at(-2) ?? 0, points.at(-1) ?? 0]
}
