import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// A program of another Debian release, with the libraries that it needs, is unpacked and not installed: nothing of the
// system changes, and it needs no root.

const keyrings = ['gpg', 'pgp'].map((ending) => `/usr/share/keyrings/debian-archive-keyring.${ending}`)
/** A mirror that answers sends some 30 MB in seconds; one that doesn't is given up. */
const commandMsMax = 5 * 60_000
/** What a program needs to run; not what sets up its service. Without LLVM: it only serves JIT, which is off. */
const isNeeded = (name: string): boolean => /^(lib(?!llvm)|lua-|zlib1g$|redis-|valkey-)/.test(name)

/** Unpacks a package of a release, and the libraries it depends on, into a folder. @throws Error with a sentence for people */
export function unpackFromDebian(wanted: { release: string; packageName: string; folder: string }): void {
  const { release, packageName, folder } = wanted
  const workspace = mkdtempSync(join(tmpdir(), 'hotcakes-packages-'))
  try {
    const options = aptOptions(workspace, release)
    run('apt-get', [...options, '-q', 'update'], workspace)
    const names = withLibraries(packageName, options, workspace)
    run('apt-get', [...options, '-q', 'download', ...names], workspace)
    mkdirSync(folder, { recursive: true })
    for (const file of readdirSync(workspace).filter((name) => name.endsWith('.deb')))
      run('dpkg-deb', ['-x', file, folder], workspace)
  } finally {
    rmSync(workspace, { recursive: true })
  }
}

/** An apt of its own: another release's lists, from the mirrors that this machine uses, and no package counts as installed. */
function aptOptions(workspace: string, release: string): string[] {
  for (const folder of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(workspace, folder), { recursive: true })
  writeFileSync(join(workspace, 'status'), '')
  writeFileSync(join(workspace, 'sources.list'), sources(release, workspace).join('\n'))
  const settings = {
    'Dir::Etc::sourcelist': join(workspace, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': join(workspace, 'state'),
    'Dir::State::status': join(workspace, 'status'),
    'Dir::Cache': join(workspace, 'cache'),
    'APT::Sandbox::User': 'root', // the workspace is closed to apt's own user; it only counts for root
    'APT::Update::Error-Mode': 'any', // or an update that reached nothing is a success
    'Acquire::Retries': '2',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

/** The lines of a sources.list: this machine's own Debian mirrors, with the other release's suites. */
function sources(release: string, workspace: string): string[] {
  const system = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  const own = /^VERSION_CODENAME=(\w+)$/m.exec(system)?.[1]
  if (!/^ID=debian$/m.test(system) || own === undefined) throw new Error('this system is not a Debian')
  const keyring = keyrings.find((path) => existsSync(path))
  if (keyring === undefined) throw new Error('the package debian-archive-keyring is missing')
  const format = '$(RELEASE) $(COMPONENT) $(REPO_URI)'
  // No release info: it would only name what an update of the system's lists has fetched, on a new machine nothing.
  const query = ['indextargets', '--no-release-info', '--format', format, 'Created-By: Packages']
  const targets = run('apt-get', query, workspace)
  const lines = targets.split('\n').flatMap((line) => {
    const [suite = '', component, mirror] = line.split(' ')
    const [, name = '', part = ''] = /^(\w+)(-updates|-security)?$/.exec(suite) ?? []
    if (component !== 'main' || ![own, 'stable', 'oldstable'].includes(name)) return []
    return `deb [signed-by=${keyring}] ${mirror} ${release}${part} main`
  })
  if (lines.length === 0) throw new Error(`apt's sources name no mirror of Debian's suite ${own}`)
  return [...new Set(lines), '']
}

function withLibraries(packageName: string, options: readonly string[], workspace: string): string[] {
  const kinds = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((kind) => `--no-${kind}`)
  const listing = run('apt-cache', [...options, 'depends', '--recurse', ...kinds, packageName], workspace)
  const dependencies = new Map<string, string[]>()
  let current: string[] = []
  for (const line of listing.split('\n')) {
    const dependency = /^[ |]+(?:Pre)?Depends: ([^<>\s]+)$/.exec(line)?.[1]
    if (dependency !== undefined) current.push(dependency)
    else if (/^\w/.test(line)) dependencies.set(line, (current = []))
  }
  const needed = new Set([packageName])
  for (const name of needed) for (const one of dependencies.get(name)?.filter(isNeeded) ?? []) needed.add(one)
  return [...needed]
}

function run(command: string, args: readonly string[], cwd: string): string {
  const env = { ...process.env, LC_ALL: 'C' }
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: commandMsMax,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (status === 0) return stdout
  const words = error?.message ?? stderr.trim().slice(-1_000)
  throw new Error(`${command} ${args.find((arg) => /^[a-z]+$/.test(arg)) ?? ''} failed: ${words}`)
}
