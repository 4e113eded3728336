import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { parse } from 'yaml'

import { runAudit } from './helpers/audit.ts'
import { startCluster } from './helpers/cluster.ts'
import { eventually } from './helpers/eventually.ts'
import { HttpClient } from './helpers/http-client.ts'
import { checkoutPath, codeOf, currentSale, purchasePath } from './helpers/items.ts'
import { servicesEnv, startPostgres, startRedis } from './helpers/services.ts'
import { bearer, keysFile, SigningKey, signedEnv } from './helpers/tokens.ts'

/** npm test runs in the project's root: what Prometheus and Grafana read is no part of the build. */
const folder = 'ops/deploy/prometheus'
const dashboardFile = 'ops/deploy/grafana/dashboards/hotcakes.json'

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly targets?: readonly { readonly expr: string }[]
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
}

function promtool(args: readonly string[], input?: string): void {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8', input })
  assert.ifError(error)
  assert.equal(status, 0, `promtool ${args.join(' ')}\n${stdout}${stderr}`)
}

function rules(): Rule[] {
  return ['recording.rules.yml', 'alerting.rules.yml'].flatMap((file) => {
    const { groups } = parse(readFileSync(join(folder, file), 'utf8')) as { groups: { rules: Rule[] }[] }
    return groups.flatMap((group) => group.rules)
  })
}

const dashboard = JSON.parse(readFileSync(dashboardFile, 'utf8')) as { panels: Panel[] }
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ where: `the panel "${title}"`, expr })),
)

/** A report of a server that has sold, was audited and reloaded nothing; of three shards, so that series have their label. */
async function scrapeOfSelling(): Promise<string> {
  const scope = { after }
  const [redis, postgres, key] = await Promise.all([startRedis(scope), startPostgres(scope), SigningKey.make('ES256')])
  const env = {
    ...servicesEnv({ redis: redis.connection, db: postgres.connection }),
    APP_SALE_INTERVAL_SECONDS: String(30 * 86_400),
    APP_SHARDS: '3',
    APP_ACK: 'replica', // for the metrics of that: answers leave at once where there is none
    ...signedEnv(keysFile(scope, [key]).path), // for those of tokens
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', // for those of spans; that nobody is there must not matter
    OTEL_TRACES_SAMPLER: 'always_on',
  }
  const cluster = await startCluster(scope, { env })
  const sale = await currentSale(cluster)
  const ann = bearer(await key.token('ann'))
  const code = codeOf(await cluster.http.post(checkoutPath('ann', `${sale}-1`), ann))
  assert.equal((await cluster.http.post(purchasePath(code), ann)).status, 200)
  assert.equal((await runAudit(cluster.env)).status, 0)
  const metrics = new HttpClient(scope, { baseUrl: cluster.metricsUrl })
  const report = await eventually(
    async () => {
      const { text } = await metrics.get('/metrics')
      const hasAll =
        /^hotcakes_audit_verdict/m.test(text) && /^hotcakes_persister_state\{state="active",shard="0"\} 1$/m.test(text)
      return hasAll ? text : undefined
    },
    { what: 'the verdict of the audit among the metrics' },
  )
  assert.deepEqual(await cluster.stop(), { code: 0, signal: null })
  return report
}

test('Prometheus takes the configuration and the rules', () => {
  promtool(['check', 'config', '--lint-fatal', join(folder, 'prometheus.yml')])
})

test('each alert fires when it should, and its test says when', () => {
  const files = ['rules.test.yml', 'slo.test.yml'].map((name) => join(folder, name))
  promtool(['test', 'rules', ...files])
  const tests = files.map((file) => readFileSync(file, 'utf8')).join('')
  const untested = rules().filter(({ alert }) => alert !== undefined && !tests.includes(alert))
  assert.deepEqual(untested, [])
})

test('promtool finds nothing to say against the metrics; rules and dashboard ask for those that there are', async () => {
  const report = await scrapeOfSelling()
  promtool(['check', 'metrics'], report)

  const served = new Set(report.match(/^# TYPE (\S+)/gm)?.map((line) => line.slice('# TYPE '.length)))
  const recorded = new Set(rules().map(({ record }) => record))
  const isThere = (name: string) =>
    recorded.has(name) || served.has(name) || served.has(name.replace(/_(bucket|sum|count)$/, ''))
  const asked = [...queries, ...rules().map(({ alert, record, expr }) => ({ where: alert ?? record, expr }))]
  const missing = asked.flatMap(({ where, expr }) =>
    (expr.match(/[a-z_]+:hotcakes_\w+:\w+|\bhotcakes_\w+/g) ?? [])
      .filter((name) => !isThere(name))
      .map((name) => `${where}: ${name}`),
  )
  assert.deepEqual(missing, [])

  const labels = asked.flatMap(({ where, expr }) =>
    [...expr.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, name = '', selector = '']) =>
      [...selector.matchAll(/(\w+)(?:=~?|!~?=?)"/g)]
        .filter(([, label]) => !['instance', 'job', 'alertstate', 'alertname'].includes(label ?? ''))
        .filter(([, label]) => served.has(name) && !new RegExp(`^${name}\\{[^}]*\\b${label}=`, 'm').test(report))
        .map(([, label]) => `${where}: ${name} has no label ${label}`),
    ),
  )
  assert.deepEqual(labels, [])
})

test('every panel of the dashboard has an id of its own, a description, a unit and a query', () => {
  const panels = dashboard.panels.filter(({ type }) => type !== 'row')
  const ids = dashboard.panels.map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length)
  for (const { title, description, targets, fieldConfig } of panels) {
    assert.ok(description, `${title} has no description`)
    assert.ok(fieldConfig?.defaults.unit, `${title} has no unit`)
    assert.ok(targets !== undefined && targets.length > 0, `${title} asks nothing`)
  }
  const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title)
  assert.deepEqual(rows, [
    'Selling',
    'Shards',
    'Latency',
    'Batches',
    'Redis',
    'Log and Postgres',
    'Signed buyers',
    'Workers',
  ])
})
