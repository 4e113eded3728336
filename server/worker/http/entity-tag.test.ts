import assert from 'node:assert/strict'
import { test } from 'node:test'

import { entityTag, namesTag } from './entity-tag.ts'

test('If-None-Match names a tag in a list, weakly or by the star, and not by a part of it', () => {
  const tag = entityTag('some bytes')
  for (const header of [tag, `W/${tag}`, `"a", ${tag} , "b"`, `"a",W/${tag}`, '*'])
    assert.ok(namesTag(header, tag), header)
  for (const header of ['', '"a"', tag.slice(1, -1), `${tag}x`]) assert.ok(!namesTag(header, tag), header)
  assert.notEqual(entityTag('other bytes'), tag)
  assert.match(tag, /^"[\w-]{22}"$/)
})
