// A process that runs the embedded services until it is killed, for tests of what happens to them then.
// usage: embedded-holder.js <data folder> [<shards>]; with a number of shards without Postgres; prints a line when they answer
import { startEmbedded } from '../../ops/embedded/embedded.ts'

const [, , dataDir = '', shards] = process.argv
const log = { info: () => undefined, warn: () => undefined }
await startEmbedded({
  dataDir,
  redis: true,
  postgres: shards === undefined,
  shards: Number(shards ?? 1),
  durable: false,
  log,
})
process.stdout.write('ready\n')
