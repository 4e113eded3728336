/* global document, fetch, FormData, performance */

// Without this file the page is whole, and its lines for a shell are there to copy.

for (const part of document.querySelectorAll('[data-needs-script]')) part.hidden = false

const token = document.querySelector('#token')

/** The path and the query that the fields of a form make. */
function target(form) {
  let path = form.dataset.path
  const query = new URLSearchParams()
  const headers = {}
  for (const field of form.elements) {
    if (!field.name || field.value === '') continue
    if (field.dataset.in === 'path') path = path.replace(`{${field.name}}`, encodeURIComponent(field.value))
    else if (field.dataset.in === 'query') query.set(field.name, field.value)
    else headers[field.name] = field.value
  }
  if (form.dataset.signed !== undefined && token.value !== '') headers.Authorization = `Bearer ${token.value}`
  return { url: query.size === 0 ? path : `${path}?${query}`, headers }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text // a picture
  }
}

async function send(form) {
  const { url, headers } = target(form)
  const method = form.dataset.method
  const startedMs = performance.now()
  const answer = await fetch(url, { method, headers })
  const text = await answer.text()
  const ms = Math.round(performance.now() - startedMs)
  const shown = ['retry-after', 'hotcakes-decision', 'hotcakes-position', 'hotcakes-lag', 'etag']
    .filter((name) => answer.headers.has(name))
    .map((name) => `${name}: ${answer.headers.get(name)}\n`)
  return `${method} ${url}\n${answer.status} in ${ms} ms\n${shown.join('')}\n${pretty(text)}`
}

async function show(form) {
  const output = form.querySelector('output')
  const button = form.querySelector('button')
  button.disabled = true
  try {
    output.textContent = await send(form)
  } catch (error) {
    output.textContent = `No answer: ${error.message}`
  }
  button.disabled = false
}

document.addEventListener('submit', (event) => {
  event.preventDefault()
  void show(event.target)
})
