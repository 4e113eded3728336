import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'

import { freePort } from '../../core/free-port.ts'
import { endsWithUs } from './ends-with-us.ts'
import { eventually } from './eventually.ts'
import { HttpClient } from './http-client.ts'
import type { Scope } from './scope.ts'
import { createFolder, removeFolder } from './scope.ts'

/** npm test runs in the project's root. */
const document = 'docs/PROXIES.md'

interface Kind {
  /** Of the block in the document. */
  readonly language: string
  /** What the document's lines listen on. */
  readonly listens: string
  /** A whole configuration with the document's lines in it, and the command that runs it. */
  readonly run: (lines: string, folder: string) => { config: string; command: readonly string[] }
}

const kinds = {
  nginx: {
    language: 'nginx',
    listens: 'listen 80;',
    run: (lines, folder) => ({
      config: [
        ...(process.getuid?.() === 0 ? [`user ${userInfo().username};`] : []),
        `worker_processes 1; worker_rlimit_nofile 4096; pid ${folder}/pid; error_log stderr warn;`,
        'events { worker_connections 4000; }',
        'http { access_log off;',
        ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`),
        lines,
        '}',
      ].join('\n'),
      command: ['nginx', '-p', folder, '-e', 'stderr', '-g', 'daemon off;', '-c'],
    }),
  },
  HAProxy: {
    language: 'haproxy',
    listens: 'bind :80',
    run: (lines) => ({ config: `global\n    maxconn 1900\n${lines}`, command: ['haproxy', '-db', '-f'] }),
  },
  Caddy: {
    language: 'caddyfile',
    listens: ':80 {',
    run: (lines) => ({
      config: `{\n    admin off\n}\n${lines}`,
      command: ['caddy', 'run', '--adapter', 'caddyfile', '--config'],
    }),
  },
} as const satisfies Record<string, Kind>

export type ProxyName = keyof typeof kinds
export const proxyNames = Object.keys(kinds) as ProxyName[]

/** A proxy in front of a server, with the lines that the document gives for it. */
export interface Proxy {
  readonly name: ProxyName
  readonly baseUrl: string
  readonly http: HttpClient
}

export async function startProxy(scope: Scope, name: ProxyName, serverPort: string): Promise<Proxy> {
  const kind: Kind = kinds[name]
  const port = await freePort()
  const lines = replaced(documented(kind.language), {
    [kind.listens]: kind.listens.replace(':80', `:${port}`).replace('listen 80', `listen 127.0.0.1:${port}`),
    '127.0.0.1:8080': `127.0.0.1:${serverPort}`,
  })
  const folder = createFolder()
  const { config, command } = kind.run(lines, folder)
  const [first = '', ...rest] = command
  const file = join(folder, 'config')
  writeFileSync(file, `${config}\n`)
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  const child = spawn(...endsWithUs('TERM', first, [...rest, file]), {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const exited = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      output += String(error)
      resolve()
    })
    child.on('close', () => resolve())
  })
  scope.after(async () => {
    child.kill('SIGTERM')
    await exited
    removeFolder(folder)
  })
  const baseUrl = `http://127.0.0.1:${port}`
  const http = new HttpClient(scope, { baseUrl })
  try {
    await eventually(async () => (await http.get('/livez')).status === 200, { deadlineMs: 30_000, what: name })
  } catch (cause) {
    throw new Error(`${name} does not serve: ${output}`, { cause })
  }
  return { name, baseUrl, http }
}

/** The one block of that language in the document. */
function documented(language: string): string {
  const blocks = [...readFileSync(document, 'utf8').matchAll(/^```(\w+)\n(.*?)^```/gms)]
  const [block, ...others] = blocks.filter(([, found]) => found === language)
  assert.ok(block?.[2] !== undefined && others.length === 0, `${document} has one block of ${language}`)
  return block[2]
}

function replaced(lines: string, texts: Readonly<Record<string, string>>): string {
  let text = lines
  for (const [from, to] of Object.entries(texts)) {
    assert.ok(text.includes(from), `the lines have ${from}`)
    text = text.replaceAll(from, to)
  }
  return text
}
