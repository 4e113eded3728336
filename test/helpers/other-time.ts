import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { chosenRedis } from './services.ts'

/** Seconds that are taken off what the kernel says of the time of day; time that only passes stays as it is. */
const source = `
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *at) {
  const char *behind = getenv("HOTCAKES_TEST_BEHIND_SECONDS");
  int result = syscall(SYS_clock_gettime, clock, at);
  if (result == 0 && behind && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec -= atol(behind);
  return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
`

/**
 * The PATH of a server whose embedded Redis lives at another time than the machine, from its first moment on: keys that
 * would have expired long ago are there when it reads its files. Its clock goes on from there, and so for every start with this
 * PATH. Data that were made on some day stay as they were on that day.
 * @param folder of the test's own, for the programs
 */
export function pathOfOtherTime(folder: string, options: { readonly behindSeconds: number }): string {
  const library = join(folder, 'other-time.so')
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-x', 'c', '-o', library, '-'], {
    input: source,
    encoding: 'utf8',
  })
  if (compiled.status !== 0) throw new Error(`cc is needed: ${compiled.error?.message ?? compiled.stderr}`)
  const path = process.env['PATH'] ?? ''
  const program = chosenRedis() ?? installedRedis()
  // Its memory's thread takes the moment that it waits for from this clock, waits by the kernel's, and so would never wait.
  const withoutThread = '--jemalloc-bg-thread no'
  const script = join(folder, 'redis-server')
  const settings = `HOTCAKES_TEST_BEHIND_SECONDS=${options.behindSeconds} LD_PRELOAD='${library}'`
  writeFileSync(script, `#!/bin/sh\n${settings} exec '${program}' "$@" ${withoutThread}\n`)
  chmodSync(script, 0o755)
  return `${folder}:${path}`
}

function installedRedis(): string {
  const { stdout } = spawnSync('sh', ['-c', 'command -v redis-server || command -v valkey-server'], {
    encoding: 'utf8',
  })
  if (stdout === '') throw new Error('redis-server or valkey-server is needed')
  return stdout.trim()
}
