import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { type Scope, temporaryFolder } from './scope.ts'

/** npm test runs in the project's root. */
const folder = join(process.cwd(), 'examples')
/** Kept between runs: Go makes it anew in some seconds, or compiles its library in a minute where Debian's package has none. */
const goEnv = { HOME: homedir(), GOCACHE: join(process.cwd(), '.tools/go-cache'), GOTOOLCHAIN: 'local' }

/** The environment of what runs an example as README.md has it. */
export function exampleEnv(shop: string): Record<string, string> {
  return { ...goEnv, PATH: process.env['PATH'] ?? '', HOTCAKES_SHOP: shop }
}

/** One of the buyers of examples/, in its language. */
export interface ExampleBuyer {
  readonly language: string
  readonly command: readonly [program: string, ...args: string[]]
  /** As its options want it. */
  readonly seconds: (count: number) => string
}

/** @param scope what the compiled one lives as long as */
export function exampleBuyers(scope: Scope): readonly ExampleBuyer[] {
  const script = fileURLToPath(new URL('../../examples/buyer.js', import.meta.url))
  const compiled = join(temporaryFolder(scope), 'buyer')
  runGo('build', '-o', compiled, join(folder, 'buyer.go'))
  return [
    { language: 'TypeScript', command: [process.execPath, script], seconds: String },
    { language: 'Python', command: [pythonItself(), join(folder, 'buyer.py')], seconds: String },
    { language: 'Go', command: [compiled], seconds: (count) => `${count}s` },
  ]
}

/** What `python3` comes down to: where that is a version manager's, looking it up takes longer than the buyer does, each time. */
function pythonItself(): string {
  const args = ['-c', 'import sys; print(sys.executable)']
  const { status, stdout, stderr, error } = spawnSync('python3', args, { encoding: 'utf8' })
  assert.equal(status, 0, error?.message ?? stderr)
  return stdout.trim()
}

/** Go's own tool, which must have nothing to say. */
export function runGo(...args: readonly string[]): string {
  const env = { ...exampleEnv(''), PATH: process.env['PATH'] ?? '' }
  const { status, stdout, stderr, error } = spawnSync('go', args, { env, encoding: 'utf8' })
  assert.equal(status, 0, `go ${args.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}

export interface RunningBuyer {
  readonly child: ChildProcess
  /** What it has said so far, on stderr. */
  readonly said: () => string
  readonly ended: Promise<{ status: number | null; stdout: string; stderr: string }>
}

export function startBuyer(
  scope: Scope,
  { command: [program, ...args] }: ExampleBuyer,
  options: { readonly shop: string; readonly args: readonly string[]; readonly token?: string },
): RunningBuyer {
  const token = options.token === undefined ? {} : { HOTCAKES_TOKEN: options.token }
  const env = { PATH: process.env['PATH'] ?? '', HOTCAKES_SHOP: options.shop, ...token }
  const child = spawn(program, [...args, ...options.args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text))
  const ended = new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, ...output }))
  })
  scope.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, said: () => output.stderr, ended }
}

/**
 * A way to the server on which answers are lost after they were decided: the first one to each operation.
 * @param options.until instead every answer to a purchase, until that operation was asked for
 */
export async function startLossyWay(
  scope: Scope,
  shop: string,
  { until }: { until?: string } = {},
): Promise<{ url: string; seen: ReadonlySet<string> }> {
  const seen = new Set<string>()
  const isLost = (operation: string) =>
    until === undefined
      ? operation.startsWith('POST') && !seen.has(operation)
      : operation === 'POST /purchase' && !seen.has(until)
  const server = createServer((asked, reply) => {
    const { method = '', url = '', headers } = asked
    const operation = `${method} ${url.split('?')[0]}`
    const onward = request(`${shop}${url}`, { method, headers: { ...headers, host: new URL(shop).host } })
    onward.on('error', () => asked.socket.destroy())
    onward.on('response', (answer) => {
      if (isLost(operation)) answer.resume().on('end', () => asked.socket.destroy())
      else answer.pipe(reply.writeHead(answer.statusCode ?? 0, answer.headers))
      seen.add(operation)
    })
    onward.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}
