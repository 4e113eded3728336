// Imported first by every entry: an older Node.js would fail later, with a message about something else.
// The uWebSockets.js programs in the registry end at Node.js 22.

const [major, minor] = process.versions.node.split('.').map(Number)
const suits = (major === 20 && minor >= 19) || major === 21 || major === 22
if (!suits) {
  process.stderr.write(`hotcakes needs Node.js >= 20.19 and < 23; this is ${process.version} (${process.execPath})\n`)
  process.exit(1)
}
