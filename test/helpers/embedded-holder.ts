// A process that runs the embedded services until it is killed, for tests of what happens to them then.
// usage: embedded-holder.js <data folder>; prints a line when they answer
import { startEmbedded } from '../../ops/embedded/embedded.ts'

const [, , dataDir = ''] = process.argv
const log = { info: () => undefined, warn: () => undefined }
await startEmbedded({ dataDir, redis: true, postgres: true, durable: false, log })
process.stdout.write('ready\n')
