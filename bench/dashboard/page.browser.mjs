// Draws the panels of the dashboard, each at its place in the grid: numbers, lines, stacks and a heat map.

/* global document, uPlot, devicePixelRatio */

const palette = [
  '#73bf69',
  '#f2cc0c',
  '#5794f2',
  '#ff9830',
  '#f2495c',
  '#b877d9',
  '#8ab8ff',
  '#ffa6b0',
  '#c8f2c2',
  '#fade2a',
  '#37872d',
  '#e0b400',
]
const named = { sold: '#fa6400', held: '#fade2a', available: '#565b66' }
const { times, panels } = JSON.parse(document.querySelector('#data').textContent)
const main = document.querySelector('#dashboard')

const units = {
  percentunit: (value) => `${(value * 100).toFixed(1)} %`,
  s: (value) =>
    value >= 60
      ? `${(value / 60).toFixed(1)} min`
      : value >= 1
        ? `${value.toFixed(1)} s`
        : `${(value * 1000).toFixed(value < 0.01 ? 2 : 0)} ms`,
  bytes: (value) => `${(value / 2 ** 20).toFixed(0)} MiB`,
  reqps: (value) => `${short(value)}/s`,
  wps: (value) => `${short(value)}/s`,
  short,
}

function short(value) {
  if (Math.abs(value) >= 1000) return `${(value / 1000).toFixed(1)} K`
  return value === Math.round(value) ? String(value) : value.toFixed(value < 1 ? 3 : 1)
}

const draw = { stat: drawStat, timeseries: drawLines, heatmap: drawHeat }

for (const panel of panels) {
  const section = element(panel.type === 'row' ? 'h1' : 'section')
  const { x, y, w, h } = panel.grid
  section.style.gridArea = `${y + 1} / ${x + 1} / span ${h} / span ${w}`
  main.append(section)
  if (panel.type === 'row') section.textContent = panel.title
  else {
    section.append(Object.assign(element('h2'), { textContent: panel.title }))
    draw[panel.type](panel, section)
  }
}

function element(tag, className = '') {
  return Object.assign(document.createElement(tag), { className })
}

function colorOf({ label }, at) {
  return named[label] ?? palette[at % palette.length]
}

function drawStat({ series, unit, texts }, section) {
  const value = series[0]?.values.findLast((one) => one !== null)
  const stat = element('div', 'stat')
  stat.textContent = value === undefined ? 'no data' : (texts[value] ?? units[unit](value))
  section.append(stat)
}

function drawLines({ series, unit, isStacked }, section) {
  const shown = isStacked ? stacked(series) : series
  const place = element('div', 'plot')
  const legend = element('div', 'legend')
  section.append(place, legend)
  for (const [at, one] of series.entries()) {
    const name = element('span')
    const mark = element('i')
    mark.style.background = colorOf(one, at)
    name.append(mark, one.label)
    legend.append(name)
  }
  // From the top of the stack down, so that each fills only what is its own.
  const order = shown.map((_, at) => at)
  if (isStacked) order.reverse()
  const lines = order.map((at) => {
    const stroke = colorOf(series[at], at)
    return { stroke, width: 1, fill: `${stroke}${isStacked ? 'b0' : '20'}`, points: { show: false } }
  })
  const axis = {
    stroke: '#8e8e99',
    grid: { stroke: '#23262d', width: 1 },
    ticks: { show: false },
    font: '10px system-ui',
  }
  const options = {
    width: place.clientWidth,
    height: place.clientHeight,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 1) * 1.08 || 1] } },
    axes: [
      { ...axis, size: 20 },
      { ...axis, size: 62, values: (_, marks) => marks.map((value) => units[unit](value)) },
    ],
    series: [{}, ...lines],
  }
  return new uPlot(options, [times, ...order.map((at) => shown[at].values)], place)
}

/** Each on top of those before it. */
function stacked(series) {
  const sums = times.map(() => 0)
  return series.map((one) => ({
    ...one,
    values: one.values.map((value, at) => {
      sums[at] += value ?? 0
      return sums[at]
    }),
  }))
}

/** A column a moment, a row a bucket; the counts of a histogram are cumulative. */
function drawHeat({ series, unit }, section) {
  const rows = series.toSorted((a, b) => bound(a) - bound(b)).filter((one) => Number.isFinite(bound(one)))
  const cells = rows.map((row, at) =>
    row.values.map((value, n) => Math.max(0, (value ?? 0) - (rows[at - 1]?.values[n] ?? 0))),
  )
  const highest = Math.max(1, ...cells.flat())
  const canvas = element('canvas', 'plot')
  section.append(canvas)
  const [width, height] = [canvas.clientWidth, canvas.clientHeight]
  Object.assign(canvas, { width: width * devicePixelRatio, height: height * devicePixelRatio })
  const pen = canvas.getContext('2d')
  pen.scale(devicePixelRatio, devicePixelRatio)
  pen.font = '10px system-ui'
  const [left, cellWidth, cellHeight] = [52, (width - 52) / times.length, height / rows.length]
  for (const [row, counts] of cells.entries()) {
    const top = height - (row + 1) * cellHeight
    pen.fillStyle = '#8e8e99'
    if (row % 2 === 0) pen.fillText(units[unit](bound(rows[row])), 2, top + cellHeight - 2)
    for (const [n, count] of counts.entries()) {
      if (count === 0) continue
      pen.fillStyle = `rgb(255 ${150 - 90 * Math.sqrt(count / highest)} 20 / ${0.15 + 0.85 * Math.sqrt(count / highest)})`
      pen.fillRect(left + n * cellWidth, top, Math.ceil(cellWidth), cellHeight - 1)
    }
  }
}

function bound({ label }) {
  return label === '+Inf' ? Number.POSITIVE_INFINITY : Number(label)
}
