// Draws the plots of a comparison's page, in the browser; page.ts inlines this, uPlot and the data. Everything else of the
// page is there without it.

/* global document, getComputedStyle, matchMedia, ResizeObserver, uPlot */

const { reports } = JSON.parse(document.getElementById('data').textContent)
const height = 290

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const colorOf = (at) => css(`--series-${at % 6}`)
/** A colour with an alpha, for the band between the least and the most of the repeats. */
const faint = (hex) => `${hex}2e`

const percentText = (nines) => {
  const percent = 100 * (1 - 10 ** -nines)
  return `${Number(percent.toFixed(Math.max(0, Math.ceil(nines) - 2)))} %`
}
const msText = (ms) =>
  ms === null || ms === undefined ? '' : `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`
const countText = (count) => (count === null || count === undefined ? '' : Math.round(count).toLocaleString('en-US'))
const shortText = (count) => (count >= 1_000 ? `${Number((count / 1_000).toFixed(1))}k` : String(count))

function axis(more) {
  return {
    stroke: css('--muted'),
    grid: { stroke: css('--grid'), width: 1 },
    ticks: { stroke: css('--grid'), width: 1 },
    font: '12px system-ui, sans-serif',
    ...more,
  }
}

/** Latency over the number of nines: p90, p99, p99.9 at equal distances. */
function percentiles(operation) {
  const curves = reports.map((report) => report.curves[operation])
  const longest = curves.reduce((best, { nines }) => (nines.length > best.length ? nines : best), [])
  const data = [longest, ...curves.map(({ ms }) => longest.map((_, at) => ms[at] ?? null))]
  return {
    data,
    options: {
      scales: { x: { time: false }, y: { distr: 3 } },
      axes: [
        axis({
          size: 34,
          splits: (plot) => plot.data[0].filter(Number.isInteger),
          values: (_, all) => all.map(percentText),
        }),
        axis({ size: 58, values: (_, all) => all.map((ms) => (ms === null ? '' : String(Number(ms.toPrecision(3))))) }),
      ],
      series: [
        { label: 'percentile', value: (_, nines) => (nines === null ? '' : percentText(nines)) },
        ...reports.map(({ title }, at) => ({
          label: title,
          stroke: colorOf(at),
          width: 2,
          points: { show: false },
          value: (_, ms) => msText(ms),
        })),
      ],
    },
  }
}

const timelines = {
  throughput: {
    columns: [
      { of: 'answered', name: '', dash: undefined },
      { of: 'good', name: ' goodput', dash: [5, 4] },
    ],
    text: countText,
    axisText: shortText,
  },
  p99: {
    columns: [{ of: 'p99Ms', name: '', dash: undefined }],
    text: msText,
    axisText: (ms) => String(Number(ms.toPrecision(3))),
  },
}

/** A line for each report, the median of its repeats, in a band from their least to their most. */
function timeline(what) {
  const { columns, text, axisText } = timelines[what]
  const seconds = Math.max(...reports.map((report) => report.timeline.seconds))
  const data = [Array.from({ length: seconds }, (_, at) => at + 1)]
  const series = [{ label: 'second', value: (_, second) => (second === null ? '' : `${second}`) }]
  const bands = []
  for (const [at, report] of reports.entries()) {
    for (const { of, name, dash } of columns) {
      const color = colorOf(at)
      const { median, min, max } = report.timeline[of]
      const line = { label: report.title + name, stroke: color, width: 1.6, dash, points: { show: false } }
      series.push({ ...line, value: (_, value) => text(value) })
      data.push(padded(median, seconds))
      if (report.runs < 2 || dash !== undefined) continue
      for (const edge of [max, min]) {
        series.push({ label: '', stroke: 'transparent', points: { show: false }, class: 'edge' })
        data.push(padded(edge, seconds))
      }
      bands.push({ series: [series.length - 2, series.length - 1], fill: faint(color) })
    }
  }
  return {
    data,
    options: {
      bands,
      cursor: { sync: { key: 'seconds' } },
      scales: { x: { time: false }, y: { range: (_, _min, max) => [0, Math.max(1, max) * 1.08] } },
      axes: [
        axis({ size: 34, values: (_, all) => all.map((second) => (Number.isInteger(second) ? `${second} s` : '')) }),
        axis({ size: 58, values: (_, all) => all.map(axisText) }),
      ],
      series,
    },
  }
}

function padded(column, length) {
  return Array.from({ length }, (_, at) => column[at] ?? null)
}

const kinds = { percentiles, timeline }
let plots = []

function draw() {
  for (const { plot, observer } of plots) {
    observer.disconnect()
    plot.destroy()
  }
  plots = [...document.querySelectorAll('.plot')].flatMap((element) => {
    const { data, options } = kinds[element.dataset.plot](element.dataset.of)
    if (data[0].length === 0) {
      element.textContent = 'There was none.'
      return []
    }
    const width = element.clientWidth
    const plot = new uPlot({ width, height, legend: { live: true }, ...options }, data, element)
    for (const marker of element.querySelectorAll('.u-marker')) marker.style.color = marker.style.borderColor
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return [{ plot, observer }]
  })
}

draw()
// The lines are painted on a canvas, which does not follow the style sheet by itself.
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
