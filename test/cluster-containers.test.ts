import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { StatefulSet } from 'kubernetes-models/apps/v1'
import { CronJob } from 'kubernetes-models/batch/v1'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { ConfigMap, Service } from 'kubernetes-models/v1'
import { parse, parseAllDocuments } from 'yaml'

import { setupUserName } from '../ops/embedded/redis.ts'
import {
  type ComposeService,
  compiled,
  compose,
  dockerfile,
  knownVariables,
  type Manifest,
  resources,
} from './helpers/deployment.ts'
import { temporaryFolder } from './helpers/scope.ts'

// As test/containers.test.ts, for the set-ups with a Redis Cluster.

/** What stands in the second file wins, as `docker compose -f docker-compose.yml -f docker-compose.cluster.yml` has it. */
const overriding = parse(readFileSync('docker-compose.cluster.yml', 'utf8'), { merge: true }) as typeof compose
const clusterServices = Object.entries({ ...compose.services, ...overriding.services }).map(([name, service]) => {
  const base = compose.services[name]
  return [name, base === undefined ? service : mergedService(base, service)] as const
})

function targetOf(mount: string): string | undefined {
  return mount.split(':')[1]
}

function mergedService(base: ComposeService, over: ComposeService): ComposeService {
  const targets = new Set(over.volumes?.map(targetOf))
  const volumes = [...(base.volumes ?? []).filter((mount) => !targets.has(targetOf(mount))), ...(over.volumes ?? [])]
  const others = [base, over].map(({ depends_on: on = [] }) =>
    Array.isArray(on) ? Object.fromEntries(on.map((name) => [name, {}])) : on,
  )
  return {
    ...base,
    ...over,
    volumes,
    environment: { ...base.environment, ...over.environment },
    depends_on: Object.assign({}, ...others) as Readonly<Record<string, object>>,
  }
}

test('the compose file of the cluster names nodes, variables, volumes and secrets that there are', (t) => {
  const all = new Map(clusterServices)
  const nodes = [...all].filter(([, { command = [] }]) => command.includes('--cluster-announce-hostname'))
  const places = nodes.map(([name]) => `${name}:6379`)
  assert.deepEqual(places, [
    'redis:6379',
    'redis-2:6379',
    'redis-3:6379',
    'redis-4:6379',
    'redis-5:6379',
    'redis-6:6379',
  ])
  for (const [name, { command }] of nodes) assert.equal(command?.at(-1), name, 'it announces its own name')

  const { command = [], environment = {}, depends_on: awaited = {} } = all.get('cluster') ?? {}
  const options = valuesOf(command)
  assert.equal(options.get('nodes'), places.join(','))
  assert.ok(existsSync(compiled(command[0] ?? '')))
  assert.deepEqual(
    Object.keys(awaited),
    nodes.map(([name]) => name),
  )
  assert.equal(environment['REDIS_USER'], setupUserName)
  for (const name of ['hotcakes', 'audit']) {
    const { environment: variables = {} } = all.get(name) ?? {}
    const masters = places.length / (1 + Number(options.get('replicas')))
    assert.equal(variables['REDIS_CLUSTER'], places.slice(0, masters).join(','))
    assert.equal(variables['REDIS_HOST'], '')
    assert.equal(variables['APP_SHARDS'], options.get('shards'))
    for (const variable of Object.keys(variables)) assert.ok(knownVariables.has(variable), `${name}: ${variable}`)
  }
  assert.ok('cluster' in (all.get('hotcakes')?.depends_on ?? {}))

  const folder = temporaryFolder(t)
  const made = spawnSync(process.execPath, [compiled('ops/deploy/container/secrets.js'), folder, 'cluster'])
  assert.equal(made.status, 0, String(made.stderr))
  assert.doesNotMatch(readFileSync(join(folder, 'nodes/node-users.acl'), 'utf8'), /@HOTCAKES/)
  const volumes = new Set([compose, overriding].flatMap((file) => Object.keys((file as { volumes: object }).volumes)))
  for (const [name, service] of clusterServices) {
    for (const mount of service.volumes ?? []) {
      const [source = '', target = ''] = mount.split(':')
      assert.ok(source.startsWith('./') ? existsSync(source) : volumes.has(source), `${name}: ${mount}`)
      if (name === 'secrets' || target !== '/secrets') continue
      const text = JSON.stringify([service.command, service.environment])
      const given = readdirSync(join(folder, source.replace('secrets-', '')))
      for (const [, file = ''] of text.matchAll(/\/secrets\/([a-z.-]+)/g))
        assert.ok(given.includes(file), `${name}: ${file}`)
    }
  }
  const makes = all.get('secrets')?.volumes?.map((mount) => mount.split(':')[1]?.replace('/secrets/', ''))
  assert.deepEqual(makes?.toSorted(), readdirSync(folder).toSorted())
  for (const name of readdirSync(folder)) assert.match(dockerfile, new RegExp(`/secrets/${name}\\b`))
})

test('the manifests of a Redis Cluster are ones by the schemas of Kubernetes, and fit together', () => {
  const models = { ConfigMap, CronJob, NetworkPolicy, PodDisruptionBudget, Service, StatefulSet } as const
  const folder = 'ops/deploy/kubernetes/cluster'
  const texts = resources(`${folder}/kustomization.yaml`).map((file) => readFileSync(join(folder, file), 'utf8'))
  const manifests = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest))
  const kinds = ['ConfigMap', 'Service', 'StatefulSet', 'PodDisruptionBudget', 'CronJob', 'NetworkPolicy']
  assert.deepEqual(
    manifests.map(({ kind }) => kind),
    kinds,
  )
  for (const manifest of manifests) new models[manifest.kind as keyof typeof models](manifest as never).validate()
  const rendered = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })
  if (rendered.error === undefined) {
    assert.equal(rendered.status, 0, rendered.stderr)
    assert.deepEqual(
      parseAllDocuments(rendered.stdout)
        .map((document) => (document.toJS() as Manifest).kind)
        .toSorted(),
      kinds.toSorted(),
    )
  }

  const [config, service, set, , form] = manifests
  const here = settingsOf(config?.data?.['cluster.conf'] ?? '')
  assert.deepEqual(here, settingsOf(readFileSync('ops/deploy/redis/cluster.conf', 'utf8')))
  const nodes = new StatefulSet(set as never).spec
  const labels = nodes?.template?.metadata?.labels
  assert.deepEqual([service?.spec?.selector, nodes?.selector.matchLabels], [labels, labels])
  const [container = assert.fail()] = nodes?.template?.spec?.containers ?? []
  const mounted = new Map(container.volumeMounts?.map(({ name, mountPath }) => [mountPath, name]))
  for (const path of (container.args ?? []).filter((arg) => arg.startsWith('/')))
    assert.ok(mounted.has(path) || mounted.has(dirname(path)), path)

  const job = new CronJob(form as never).spec?.jobTemplate.spec?.template.spec?.containers[0]
  const { args = [] } = job ?? {}
  assert.ok(existsSync(compiled(args[0] ?? '')))
  const options = valuesOf(args)
  const places = Array.from(
    { length: nodes?.replicas ?? 0 },
    (_, at) => `hotcakes-redis-${at}.${nodes?.serviceName}:6379`,
  )
  assert.equal(options.get('nodes'), places.join(','))
  assert.deepEqual(job?.env, [{ name: 'REDIS_USER', value: setupUserName }])
  const masters = places.slice(0, places.length / (1 + Number(options.get('replicas'))))
  const server = readFileSync('ops/deploy/kubernetes/hotcakes.yaml', 'utf8')
  assert.ok(server.includes(`# REDIS_CLUSTER: ${masters.join(',')}\n`))
  assert.ok(server.includes(`# APP_SHARDS: "${options.get('shards')}"\n`))
})

/** The lines of a configuration, without its comments. */
function settingsOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

/** `--name value` -> by name. */
function valuesOf(args: readonly string[]): ReadonlyMap<string, string> {
  const named = args.flatMap((arg, at) => (arg.startsWith('--') ? [[arg.slice(2), args[at + 1] ?? ''] as const] : []))
  return new Map(named)
}
