import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCommand, pairAt } from './wire.ts'

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
  const otherForms = [
    '+OK\r\n',
    '-ERR no\r\n',
    ':-12\r\n',
    '$-1\r\n',
    '$0\r\n\r\n',
    '$6\r\na\r\n$9\n\r\n',
    '*-1\r\n',
    '*0\r\n',
  ]
  for (const reply of [...others, ...longer, ...otherForms]) assert.equal(read(reply), undefined, reply)
})

test('a command is encoded with the length of each part in bytes', () => {
  assert.equal(String(encodeCommand(['PING'])), '*1\r\n$4\r\nPING\r\n')
  assert.equal(
    String(encodeCommand(['SET', 'ä', 12, Buffer.from('\r\n'), '', Buffer.alloc(0)])),
    '*6\r\n$3\r\nSET\r\n$2\r\nä\r\n$2\r\n12\r\n$2\r\n\r\n\r\n$0\r\n\r\n$0\r\n\r\n',
  )
})
