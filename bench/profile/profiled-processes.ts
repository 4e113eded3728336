import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type CpuProfile, type SelfTimes, selfTimes } from './cpu-profile.ts'
import { inSources } from './source-places.ts'

/** One thread's profile that is kept. */
export interface ThreadProfile {
  readonly title: string
  readonly file: string
  readonly times: SelfTimes
}

export interface ProfiledPids {
  readonly httpWorkers: readonly number[]
  readonly persister: readonly number[]
}

/** Node names its files CPU.<day>.<time>.<pid>.<thread>.<number>.cpuprofile. */
const namePattern = /^CPU\.\d+\.\d+\.(\d+)\.(\d+)\.\d+\.cpuprofile$/

/**
 * Of the profiles that a server's processes left in `folder` keeps the busiest HTTP worker's, the persister's and its
 * copy thread's, under names for people; removes the others.
 */
export function keepProfiles(
  folder: string,
  pids: ProfiledPids,
  window: { fromUs: number; toUs: number },
): ThreadProfile[] {
  const found = readdirSync(folder).flatMap((name) => {
    const [, pid, thread] = namePattern.exec(name) ?? []
    if (pid === undefined) return []
    const profile = JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile
    return [{ name, pid: Number(pid), thread: Number(thread), times: selfTimes(inSources(profile), window) }]
  })
  const busiest = found
    .filter(({ pid, thread }) => thread === 0 && pids.httpWorkers.includes(pid))
    .toSorted((a, b) => b.times.busyUs - a.times.busyUs)[0]
  const ofPersister = found.filter(({ pid }) => pids.persister.includes(pid))
  const wanted = [
    { title: 'HTTP worker', one: busiest },
    { title: 'persister', one: ofPersister.find(({ thread }) => thread === 0) },
    { title: 'copy thread', one: ofPersister.find(({ thread }) => thread > 0) },
  ]
  const kept = wanted.flatMap(({ title, one }) => {
    if (one === undefined) return []
    const file = join(folder, `${title.toLowerCase().replaceAll(' ', '-')}.cpuprofile`)
    renameSync(join(folder, one.name), file)
    return [{ title, file, times: one.times }]
  })
  for (const { name } of found) rmSync(join(folder, name), { force: true })
  return kept
}
