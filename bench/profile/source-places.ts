import { existsSync, readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'

import type { CpuProfile, ProfileNode } from './cpu-profile.ts'

/** The profile with its functions where they stand in the sources: a program of the server is one file of all its modules. */
export function inSources(profile: CpuProfile): CpuProfile {
  const maps = new Map<string, SourceMap | undefined>()
  return { ...profile, nodes: profile.nodes.map((node) => ({ ...node, callFrame: placed(node.callFrame, maps) })) }
}

function placed(frame: ProfileNode['callFrame'], maps: Map<string, SourceMap | undefined>): ProfileNode['callFrame'] {
  if (!frame.url.startsWith('file:')) return frame
  if (!maps.has(frame.url)) maps.set(frame.url, mapOf(frame.url))
  const entry = maps.get(frame.url)?.findEntry(frame.lineNumber, frame.columnNumber)
  if (entry === undefined || !('originalSource' in entry)) return frame
  const { originalSource, originalLine, originalColumn } = entry
  const url = new URL(originalSource, frame.url).href
  return { ...frame, url, lineNumber: originalLine, columnNumber: originalColumn }
}

function mapOf(url: string): SourceMap | undefined {
  const file = `${fileURLToPath(url)}.map`
  return existsSync(file) ? new SourceMap(JSON.parse(readFileSync(file, 'utf8'))) : undefined
}
