/** Rules of the settings of tracing that their patterns can't say, and what they name. */

import type { SettingValues } from './settings.ts'

type TracingValues = SettingValues['tracing']

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Where spans are posted to. @param endpoint a URL without a problem */
export function tracesUrl(endpoint: string): string {
  return `${endpoint.replace(/\/+$/, '')}/v1/traces`
}

/** @param text without a problem */
export function exportHeaders(text: string): Record<string, string> {
  return Object.fromEntries(headersIn(text) ?? [])
}

export function problemsOfTracing({ endpoint, headers }: TracingValues): string[] {
  const problems: string[] = []
  if (endpoint !== '') problems.push(...problemsOfEndpoint(endpoint))
  // Not which one: a value that was cut at a comma would be told.
  if (headersIn(headers) === undefined)
    problems.push('OTEL_EXPORTER_OTLP_HEADERS must be name=value, with commas between headers and % escapes in values')
  return problems
}

/** What is set and has no effect. */
export function warningsOfTracing(
  { endpoint }: TracingValues,
  variables: Readonly<Record<string, string | undefined>>,
): string[] {
  if (endpoint !== '') return []
  const idle = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG'].filter(
    (name) => variables[name] !== undefined,
  )
  return idle.length === 0
    ? []
    : [`without OTEL_EXPORTER_OTLP_ENDPOINT nothing is traced: ${idle.join(', ')} has no effect`]
}

function problemsOfEndpoint(endpoint: string): string[] {
  const must = 'OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// URL'
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) return [must]
  if (url.username !== '' || url.password !== '')
    return [`${must} without user and password: put an Authorization into OTEL_EXPORTER_OTLP_HEADERS`]
  if (url.search !== '' || url.hash !== '') return [`${must} without ? and #`]
  if (/\/v1\/traces\/?$/.test(url.pathname)) return [`${must} without /v1/traces, which is put behind it`]
  return []
}

/** `undefined`: it is no list of headers. */
function headersIn(text: string): [name: string, value: string][] | undefined {
  const headers: [string, string][] = []
  for (const part of text === '' ? [] : text.split(',')) {
    const at = part.indexOf('=')
    const name = part.slice(0, at).trim()
    const value = unescaped(part.slice(at + 1).trim())
    // Node.js refuses others where nobody would hear of it.
    if (at < 1 || !headerName.test(name) || value === undefined || !/^[\t\u0020-\u007e]+$/.test(value)) return undefined
    headers.push([name, value])
  }
  return headers
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined // a % with something else behind it
  }
}
