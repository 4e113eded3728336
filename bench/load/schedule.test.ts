import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AsAnswersCome, FixedRate, timerSlackMs } from './schedule.ts'

const nobody = { wake: () => undefined }

test('in a closed loop everybody may send until it is closed', () => {
  const schedule = new AsAnswersCome()
  assert.notEqual(schedule.take(), undefined)
  schedule.close()
  assert.equal(schedule.take(), undefined)
})

test('a request that waited for a connection counts from when it was due', (t) => {
  const startMs = performance.now() - 1_000
  const schedule = new FixedRate(10, startMs)
  t.after(() => schedule.close())
  // Ten were due within the second; all connections were busy.
  assert.ok(schedule.overdue >= 10)
  const due = Array.from({ length: 10 }, () => schedule.take(nobody))
  assert.deepEqual(
    due,
    Array.from({ length: 10 }, (_, n) => startMs + n * 100),
  )
})

test('before it is due nothing may be sent', (t) => {
  const schedule = new FixedRate(10, performance.now() + 600_000)
  t.after(() => schedule.close())
  assert.deepEqual([schedule.overdue, schedule.take(nobody)], [0, undefined])
})

test('whoever has to wait is woken when the next request is due, the longest idle first', async (t) => {
  const schedule = new FixedRate(50, performance.now())
  t.after(() => schedule.close())
  const woken: string[] = []
  const late: number[] = []
  await new Promise<void>((resolve) => {
    const sender = (name: string) => {
      const own = {
        // On a busy machine several may be due by now: a generator is idle again once it has sent them all.
        sendAllDue: () => {
          for (let due = schedule.take(own); due !== undefined; due = schedule.take(own)) {
            late.push(performance.now() - due)
          }
        },
        wake: () => {
          woken.push(name)
          own.sendAllDue()
          if (woken.length === 4) resolve()
        },
      }
      return own
    }
    for (const name of ['a', 'b']) sender(name).sendAllDue()
  })
  assert.deepEqual(woken.slice(0, 4), ['a', 'b', 'a', 'b'])
  assert.ok(late.length >= 4 && late.every((ms) => ms >= 0))
})

test('the timer’s own lateness is forgiven only when a connection was free', () => {
  const startMs = performance.now() - timerSlackMs / 2
  const busy = new FixedRate(1, startMs)
  assert.equal(busy.take(nobody), startMs, 'nobody else was idle: it may have waited for this connection')
  busy.close()
})

test('nothing is sent once it is closed, however much is due', () => {
  const schedule = new FixedRate(1_000, performance.now() - 1_000)
  schedule.close()
  assert.equal(schedule.take(nobody), undefined)
  assert.ok(schedule.overdue >= 1_000)
})

test('nothing is due at its end or after it, however late it is closed, and what was due before is not forgotten', (t) => {
  const startMs = performance.now() - 5_000
  const schedule = new FixedRate(10, startMs, startMs + 1_000)
  t.after(() => schedule.close())
  assert.equal(schedule.overdue, 10)
  const due = Array.from({ length: 11 }, () => schedule.take(nobody))
  assert.deepEqual([due.at(-2), due.at(-1)], [startMs + 900, undefined])
  assert.equal(schedule.overdue, 0)
})
