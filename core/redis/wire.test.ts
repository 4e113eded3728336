import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCommand, pairAt, replyEnd } from './wire.ts'

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
  '*12\r\n' + ':7\r\n'.repeat(12),
]

test('a reply ends where it ends, whatever follows it, and nowhere before it is all there', () => {
  for (const reply of replies) {
    for (const before of ['', '+before\r\n'])
      for (const after of ['', '$1', '*2\r\n'])
        assert.equal(replyEnd(Buffer.from(before + reply + after), before.length), before.length + reply.length, reply)
    for (let length = 1; length < reply.length; length++)
      assert.equal(replyEnd(Buffer.from(reply.slice(0, length)), 0), -1, `${length} bytes of ${reply}`)
  }
})

/** As two texts, where another reply stands before it. */
function read(reply: string): string[] | undefined {
  return pairAt(Buffer.from(`:1\r\n${reply}`, 'latin1'), 4, 4 + reply.length)?.map(String)
}

test('two texts are read, of any bytes, and nothing else is taken for them', () => {
  assert.deepEqual(read('*2\r\n$1\r\na\r\n$2\r\nbc\r\n'), ['a', 'bc'])
  assert.deepEqual(read('*2\r\n$0\r\n\r\n$0\r\n\r\n'), ['', ''])
  assert.deepEqual(read('*2\r\n$12\r\n$3\r\n\r\n*2\r\n$\0\r\n$3\r\n\r\n1\r\n'), ['$3\r\n\r\n*2\r\n$\0', '\r\n1'])
  const others = [
    '*2\r\n$-1\r\n$1\r\na\r\n',
    '*2\r\n$1\r\na\r\n$-1\r\n',
    '*2\r\n$1\r\na\r\n:1\r\n',
    '*2\r\n:1\r\n$1\r\na\r\n',
  ]
  const longer = ['*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n', '*1\r\n$1\r\na\r\n', `*20\r\n${'$1\r\na\r\n'.repeat(20)}`]
  for (const reply of [...others, ...longer, ...replies.slice(0, -3)]) assert.equal(read(reply), undefined, reply)
})

test('a command is encoded with the length of each part in bytes', () => {
  assert.equal(String(encodeCommand(['PING'])), '*1\r\n$4\r\nPING\r\n')
  assert.equal(
    String(encodeCommand(['SET', 'ä', 12, Buffer.from('\r\n'), '', Buffer.alloc(0)])),
    '*6\r\n$3\r\nSET\r\n$2\r\nä\r\n$2\r\n12\r\n$2\r\n\r\n\r\n$0\r\n\r\n$0\r\n\r\n',
  )
})
