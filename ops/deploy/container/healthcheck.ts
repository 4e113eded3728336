// What the container's HEALTHCHECK runs: asks the server in it whether it lives. Exit status 0 or 1.

import { localUrl } from '../../../core/config/listen-hosts.ts'
import { loadConfig } from '../../../core/config/load.ts'
import { getText } from '../../../core/get-text.ts'
import { healthcheckMsMax } from '../../limits.ts'

const { app } = loadConfig({ env: process.env })
const url = `${localUrl(app.host, app.port)}/livez`
const isAlive = await getText(url, healthcheckMsMax).then(
  ({ status }) => status === 200,
  () => false, // refused, or too late
)
process.exit(isAlive ? 0 : 1)
