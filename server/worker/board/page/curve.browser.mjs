import { formatNumber, formatSpan } from './format.browser.mjs'

const width = 320
const height = 96

/**
 * Draws what was sold over time. Where the first sale came long after the opening, the line starts there: a sale that is
 * over in seconds must not be a step in an hour.
 * @param {{ svg: SVGElement, from: HTMLElement, to: HTMLElement }} parts
 * @param {{ points: number[], items: number, nowMs: number }} sale times in ms since the opening
 */
export function drawCurve({ svg, from, to }, { points, items, nowMs }) {
  if (points.length === 0) {
    for (const path of svg.children) path.setAttribute('d', '')
    svg.setAttribute('aria-label', 'Nothing is sold yet.')
    from.textContent = to.textContent = ''
    return
  }
  const [firstMs, lastMs, sold] = [points[0], points.at(-2), points.at(-1)]
  const spanMs = Math.max(lastMs - firstMs, 1_000)
  const startMs = firstMs <= spanMs / 4 ? 0 : firstMs
  const endMs =
    sold >= items ? Math.max(lastMs, startMs + 1_000) : Math.min(Math.max(nowMs, startMs + 1_000), lastMs + spanMs / 2)
  const x = (ms) => (((ms - startMs) / (endMs - startMs)) * width).toFixed(1)
  const y = (count) => (height - 2 - (count / items) * (height - 4)).toFixed(1)
  let line = `M0 ${y(0)}`
  for (let at = 0; at < points.length; at += 2) line += `L${x(points[at])} ${y(points[at + 1])}`
  line += `L${x(endMs)} ${y(sold)}`
  const [area, stroke] = svg.children
  stroke.setAttribute('d', line)
  area.setAttribute('d', `${line}L${x(endMs)} ${height}L0 ${height}Z`)
  svg.setAttribute(
    'aria-label',
    `${formatNumber(sold)} of ${formatNumber(items)} sold within ${formatSpan(lastMs - startMs)}.`,
  )
  from.textContent = startMs === 0 ? 'opening' : `first after ${formatSpan(firstMs)}`
  to.textContent = `+ ${formatSpan(endMs - startMs)}`
}
