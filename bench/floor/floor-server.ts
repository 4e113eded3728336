// The floor: a bare uWebSockets.js that parses the two parameters and answers a body of a checkout's size. What a
// request costs here, it costs before hotcakes has done anything for it.
// usage: node floor-server.js PORT BODY_BYTES

import { App } from '../../server/worker/http/uws.ts'

const port = Number(process.argv[2])
const body = 'x'.repeat(Number(process.argv[3]))

App()
  .post('/checkout', (res, req) => {
    const user = req.getQuery('user_id')
    const id = req.getQuery('id')
    if (!user || !id) {
      res.writeStatus('400 Bad Request').end()
      return
    }
    res.writeHeader('Content-Type', 'application/json').end(body)
  })
  .any('/*', (res) => {
    res.end()
  })
  .listen('127.0.0.1', port, (token) => {
    if (token === false) process.exitCode = 1
  })

process.on('SIGTERM', () => process.exit(0))
