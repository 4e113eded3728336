import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { test } from 'node:test'

import { cpuGroup, cpuQuota, usableCores } from './cores.ts'

/** A folder with these files, which stands for the root of a system. */
function system(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'hotcakes-cores-'))
  t.after(() => rmSync(root, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${text}\n`)
  }
  return root
}

const unified = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate'

test('version 2: the least quota of the own group and all above it counts', (t) => {
  const files = {
    'proc/self/cgroup': '0::/system.slice/shop.service/workers',
    'proc/self/mountinfo': `23 1 0:22 / /sys rw - sysfs sysfs rw\n${unified}`,
    'sys/fs/cgroup/system.slice/cpu.max': '400000 100000',
    'sys/fs/cgroup/system.slice/shop.service/cpu.max': '150000 100000',
    'sys/fs/cgroup/system.slice/shop.service/workers/cpu.max': 'max 100000',
  }
  assert.equal(cpuQuota(system(t, files)), 1.5)
  const own = { 'sys/fs/cgroup/system.slice/shop.service/workers/cpu.max': '25000 50000' }
  assert.equal(cpuQuota(system(t, { ...files, ...own })), 0.5)
})

test('version 2: in a container, whose own group is the root of what it sees', (t) => {
  const files = {
    'proc/self/cgroup': '0::/',
    'proc/self/mountinfo': unified,
    'sys/fs/cgroup/cpu.max': '300000 100000',
  }
  assert.equal(cpuQuota(system(t, files)), 3)
  assert.equal(cpuQuota(system(t, { ...files, 'sys/fs/cgroup/cpu.max': 'max 100000' })), undefined)
  const elsewhere = { ...files, 'proc/self/cgroup': '0::/../../other' }
  assert.equal(cpuQuota(system(t, elsewhere)), 3, 'a group that is out of sight')
})

test('version 1: with the controllers of others beside it, in a container that sees the names of its host', (t) => {
  const files = {
    'proc/self/cgroup': '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n0::/docker/abc',
    'proc/self/mountinfo': [
      '40 30 0:31 /docker/abc /sys/fs/cgroup/cpuset ro master:12 - cgroup cgroup rw,cpuset',
      '41 30 0:32 /docker/abc /sys/fs/cgroup/cpu\\040acct ro master:13 - cgroup cgroup rw,cpu,cpuacct',
      '42 30 0:33 /docker/abc /sys/fs/cgroup/unified ro master:14 - cgroup2 cgroup rw',
    ].join('\n'),
    'sys/fs/cgroup/cpu acct/cpu.cfs_quota_us': '250000',
    'sys/fs/cgroup/cpu acct/cpu.cfs_period_us': '100000',
    'sys/fs/cgroup/unified/cpu.max': '100000 100000',
  }
  assert.equal(cpuQuota(system(t, files)), 2.5)
  assert.equal(cpuQuota(system(t, { ...files, 'sys/fs/cgroup/cpu acct/cpu.cfs_quota_us': '-1' })), undefined)
})

test('without control groups, or with files that say something else, there is no quota', (t) => {
  assert.equal(cpuQuota(system(t, {})), undefined)
  const odd = { 'proc/self/cgroup': '0::/a', 'proc/self/mountinfo': unified }
  for (const text of ['', 'max', '0 100000', '100000 0', 'a b']) {
    const quota = cpuQuota(system(t, { ...odd, 'sys/fs/cgroup/a/cpu.max': text }))
    assert.ok(quota === undefined || quota === Number.POSITIVE_INFINITY, `${text}: ${quota}`)
  }
})

test('whole cores count, one at least, and never more than there are', () => {
  const there = availableParallelism()
  assert.deepEqual(
    [0.1, 1, 1.5, 1.99, 10_000].map((quota) => usableCores(quota)),
    [1, 1, 1, 1, there],
  )
})

test('a process in a real control group with a quota sees it', (t) => {
  const [own] = cpuGroup()?.folders ?? []
  const group = join(own ?? '/nowhere', `hotcakes-test-${process.pid}`)
  try {
    mkdirSync(group)
  } catch (error) {
    t.skip(`this machine lets nobody make a control group here (${(error as NodeJS.ErrnoException).code})`)
    return
  }
  t.after(() => rmdirSync(group))
  const [file, text] = existsSync(join(group, 'cpu.max'))
    ? ['cpu.max', '150000 100000']
    : ['cpu.cfs_quota_us', '150000']
  if (!existsSync(join(group, file))) {
    t.skip('the control group of this process shares out no CPU time')
    return
  }
  writeFileSync(join(group, file), text)
  const module = new URL('cores.js', import.meta.url).href
  const script = `import('${module}').then(({ cpuQuota, usableCores }) => console.log(cpuQuota(), usableCores()))`
  const inGroup = 'echo $$ > "$0/cgroup.procs" && exec "$1" -e "$2"'
  const output = execFileSync('sh', ['-c', inGroup, group, process.execPath, script], { encoding: 'utf8' })
  assert.equal(output, `${Math.min(1.5, cpuQuota() ?? 1.5)} 1\n`)
})
