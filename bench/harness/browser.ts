import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

const name = 'chromium'
/** Nothing but the pages it is told to open: no update, no account, no request of its own. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The system's Chromium, without a window. @throws Error that says what to install */
export function launchBrowser(): Promise<Browser> {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const executablePath = folders.map((folder) => join(folder, name)).find(isExecutable)
  if (executablePath === undefined)
    throw new Error('no Chromium found: install it, on Debian `apt-get install chromium`')
  return chromium.launch({ executablePath, args, headless: true })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false // not here
  }
}
