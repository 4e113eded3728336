import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Child } from './child.ts'
import { ChildPlaces, childPlaces } from './child-places.ts'

function child(kind: 'http' | 'persister'): Child {
  return { kind, silentSinceMs: 0 } as Child
}

test('a child goes from its fork through the places to its end, and each step is told', () => {
  const told: string[] = []
  const places = new ChildPlaces(({ kind }, from, to) => told.push(`${kind} ${from} ${to}`))
  const [worker, persister] = [child('http'), child('persister')]
  places.add(worker)
  places.add(persister)
  assert.equal(places.move(worker, 'starting', 'ready'), true)
  assert.ok(worker.silentSinceMs > 0, 'its patience begins anew')
  assert.deepEqual(places.in(['ready'], 'http'), [worker])
  assert.deepEqual(places.in(childPlaces), [persister, worker])
  assert.equal(places.move(worker, 'ready', 'draining'), true)
  assert.equal(places.remove(worker), 'draining')
  assert.equal(places.remove(persister), 'starting')
  assert.deepEqual(places.in(childPlaces), [])
  assert.deepEqual(told, [
    'http forked starting',
    'persister forked starting',
    'http starting ready',
    'http ready draining',
    'http draining gone',
    'persister starting gone',
  ])
})

test('a child that does not stand where it is taken from stays where it is', () => {
  const places = new ChildPlaces(() => assert.fail('nothing moves'))
  const stranger = child('http')
  for (const from of childPlaces) assert.equal(places.move(stranger, from, 'draining'), false)
  assert.equal(places.placeOf(stranger), undefined)
  assert.throws(() => places.remove(stranger), /ends once/)
})
