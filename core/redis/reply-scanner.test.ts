import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplyScanner } from './reply-scanner.ts'

const replies = [
  '+OK\r\n',
  '-ERR no\r\n',
  ':-12\r\n',
  '$-1\r\n',
  '$0\r\n\r\n',
  '$6\r\na\r\n$9\n\r\n',
  '*-1\r\n',
  '*0\r\n',
  '*2\r\n$1\r\na\r\n$2\r\nbc\r\n',
  '*3\r\n*2\r\n:1\r\n*0\r\n$-1\r\n*1\r\n+x\r\n',
  `*12\r\n${':7\r\n'.repeat(12)}`,
  `$30\r\n${'*2\r\n+'.repeat(6)}\r\n`,
]

/** Where it finds ends of replies, counted from the first chunk's beginning. */
function endsIn(chunks: readonly Buffer[]): number[] {
  const scanner = new ReplyScanner()
  const ends: number[] = []
  let before = 0
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      at = scanner.endIn(chunk, at)
      if (at < 0) break
      assert.ok(scanner.isBetween)
      ends.push(before + at)
    }
    before += chunk.length
  }
  assert.ok(!scanner.isLost)
  return ends
}

test('replies end in the same places wherever what came was cut', () => {
  const stream = Buffer.from(replies.join(''))
  let end = 0
  const expected = replies.map((reply) => (end += reply.length))
  for (let first = 0; first <= stream.length; first++)
    for (let second = first; second <= stream.length; second++) {
      const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)]
      assert.deepEqual(endsIn(chunks), expected, `cut at ${first} and ${second}`)
    }
  assert.deepEqual(endsIn(Array.from(stream, (byte) => Buffer.of(byte))), expected)
})

test('what is no reply is known as such at its first wrong byte', () => {
  for (const [sound, wrong] of [
    ['', '?'],
    ['', '\r'],
    ['$1', 'x'],
    ['*2\r\n$1\r\na\r\n', '%'],
    ['+OK\r', '+'],
    ['*0\r', '\r'],
  ] as const) {
    const scanner = new ReplyScanner()
    assert.equal(scanner.endIn(Buffer.from(sound), 0), -1)
    assert.equal(scanner.isLost, false, sound)
    assert.equal(scanner.endIn(Buffer.from(`${wrong}\r\n+OK\r\n`), 0), -1)
    assert.equal(scanner.isLost, true, sound + wrong)
  }
})
