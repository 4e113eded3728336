// uWebSockets.js and its types, for whoever needs them here, in bench/ and in test/. Which program it is made of follows from
// the running Node.js, platform and libc, and this file alone has to do with that: one that doesn't load becomes a fault
// that says why, at the first use and not at the import, so that the worker can still tell its primary.

import type * as Uws from 'uWebSockets.js'

import { Fault } from '../../../core/faults.ts'

export type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
} from 'uWebSockets.js'

const loaded: typeof Uws | Fault = await import('uWebSockets.js').catch(misfit)

/** @throws Fault HC_ADDON */
export function App(): Uws.TemplatedApp {
  if (loaded instanceof Fault) throw loaded
  return loaded.App()
}

export function closeListenSocket(socket: Uws.us_listen_socket): void {
  if (loaded instanceof Fault) throw loaded
  loaded.us_listen_socket_close(socket)
}

function misfit(cause: unknown): Fault {
  // The package puts sentences of its own around what the loader said.
  const reason = /(?<=Error: ).*/.exec(String(cause).replace(/^Error: /, ''))?.[0] ?? String(cause)
  const { version, versions, platform, arch } = process
  const here = `Node.js ${version} (ABI ${versions.modules}) on ${platform} ${arch}, ${libcName()}`
  return new Fault('HC_ADDON', `uWebSockets.js has no program that loads in ${here}; use Node.js 22 (${reason})`, {
    cause,
  })
}

function libcName(): string {
  const report = process.report?.getReport() as { header: { glibcVersionRuntime?: string } } | undefined
  const version = report?.header.glibcVersionRuntime
  return version === undefined ? 'no glibc' : `glibc ${version}`
}
