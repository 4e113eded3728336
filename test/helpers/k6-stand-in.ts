// What examples/storm.ts imports of k6, which no package registry of a Debian or npm has. It sends real requests, one after the
// other; k6's executors, thresholds and statistics are not here.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { build } from 'esbuild'

import { type Scope, temporaryFolder } from './scope.ts'

/** By their names: what was counted, and of the checks what has failed. */
export const counts = new Map<string, number>()
export const tagsSeen = new Set<string>()

function add(name: string, value: number): void {
  counts.set(name, (counts.get(name) ?? 0) + value)
}

export class Counter {
  readonly #name: string
  constructor(name: string) {
    this.#name = name
    counts.set(name, 0)
  }
  add(value: number): void {
    add(this.#name, value)
  }
}

export function check<T>(value: T, checks: Readonly<Record<string, (value: T) => boolean>>): boolean {
  const failed = Object.entries(checks).filter(([, holds]) => !holds(value))
  for (const name of Object.keys(checks)) add(`checked: ${name}`, 1)
  for (const [name] of failed) add(`failed: ${name}`, 1)
  return failed.length === 0
}

export const sleep = (): void => undefined
export const execution = { vu: { idInTest: 1 } }

interface Params {
  readonly tags?: { readonly name: string }
  readonly headers?: Readonly<Record<string, string>>
}

function send(method: string, url: string, { tags, headers = {} }: Params = {}) {
  tagsSeen.add(tags?.name ?? url)
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const { stdout } = spawnSync('curl', ['-s', '-X', method, ...fields, '-w', '\n%{http_code}', url], {
    encoding: 'utf8',
  })
  const [, body = '', status = '0'] = /^(.*)\n(\d+)$/s.exec(stdout) ?? []
  const json = (name: string) => (JSON.parse(body) as Record<string, unknown>)[name]
  return { status: Number(status), body, json }
}

export const http = {
  get: (url: string, params?: Params) => send('GET', url, params),
  post: (url: string, _body: null, params?: Params) => send('POST', url, params),
  expectedStatuses: (...statuses: number[]) => statuses,
  setResponseCallback: (): void => undefined,
}

const modules: Readonly<Record<string, string>> = {
  k6: 'export { check, sleep }',
  'k6/execution': 'export { execution as default }',
  'k6/http': 'export { http as default }',
  'k6/metrics': 'export { Counter }',
}

/** A script for k6, with this in k6's place. @param env what its `-e` would set */
export async function importK6Script<Script>(
  scope: Scope,
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<Script> {
  const outfile = join(temporaryFolder(scope), 'script.mjs')
  const standIn = fileURLToPath(import.meta.url)
  await build({
    entryPoints: [script],
    outfile,
    bundle: true,
    format: 'esm',
    define: { __ENV: JSON.stringify(env) },
    external: [standIn],
    plugins: [
      {
        name: 'k6',
        setup: (bundler) => {
          bundler.onResolve({ filter: /^k6(\/|$)/ }, ({ path }) => ({ path, namespace: 'k6' }))
          bundler.onLoad({ filter: /./, namespace: 'k6' }, ({ path }) => ({
            contents: `${modules[path]} from '${standIn}'`,
          }))
        },
      },
    ],
  })
  return (await import(pathToFileURL(outfile).href)) as Script
}
