import assert from 'node:assert/strict'
import { test } from 'node:test'

import { conninfo, type PostgresSettings } from './conninfo.ts'

const settings: PostgresSettings = {
  host: 'db.example',
  port: 5432,
  user: 'hotcakes',
  password: 'secret',
  name: 'sales',
  sslMode: 'verify-full',
}

test('the connection string carries the settings', () => {
  const text = conninfo(settings, { applicationName: 'a test' })
  for (const part of ["host='db.example'", "port='5432'", "user='hotcakes'", "password='secret'", "dbname='sales'"]) {
    assert.ok(text.includes(part), part)
  }
  for (const part of ["sslmode='verify-full'", "application_name='a test'"]) assert.ok(text.includes(part), part)
})

test('a connection brings no settings along, not even those of PGOPTIONS: PgBouncer would refuse it', () => {
  assert.ok(conninfo(settings, { applicationName: 'test' }).includes("options=''"))
})

test('quotes, backslashes and spaces in a setting stay part of it', () => {
  const text = conninfo({ ...settings, password: `it's a \\ host=evil` }, { applicationName: 'test' })
  assert.ok(text.includes(String.raw`password='it\'s a \\ host=evil'`))
})

test('without a password there is none in the string, so that libpq looks where it usually does', () => {
  assert.ok(!conninfo({ ...settings, password: '' }, { applicationName: 'test' }).includes('password'))
})
