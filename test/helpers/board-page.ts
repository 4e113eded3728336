import assert from 'node:assert/strict'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'

import type { Scope } from './scope.ts'

/** Machines that run tests are busy: far above what a page needs. */
const waitMsMax = 60_000

/** The board in a browser, as a person meets it; whatever it complains of on the console is kept. */
export class BoardPage {
  readonly page: Page
  readonly complaints: string[] = []

  private constructor(page: Page) {
    this.page = page
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text())
    })
    page.on('pageerror', (error) => this.complaints.push(String(error)))
  }

  static async open(
    scope: Scope,
    options: {
      browser: Browser
      baseUrl: string
      look?: BrowserContextOptions
      link?: 'live' | 'polling'
      /** Runs in the page before its own scripts. */
      before?: string
    },
  ): Promise<BoardPage> {
    const context = await options.browser.newContext({ reducedMotion: 'reduce', ...options.look })
    context.setDefaultTimeout(waitMsMax)
    scope.after(() => context.close())
    if (options.before !== undefined) await context.addInitScript(options.before)
    const board = new BoardPage(await context.newPage())
    await board.page.goto(options.baseUrl)
    await board.linked(options.link ?? 'live')
    return board
  }

  async linked(link: 'live' | 'polling' | 'stale'): Promise<void> {
    await this.page.locator(`html[data-link="${link}"]`).waitFor({ state: 'attached' })
  }

  /** The count of that state in the legend. */
  async count(state: 'available' | 'held' | 'sold' | 'missing'): Promise<number> {
    return Number((await this.page.locator(`#count-${state}`).textContent())?.replaceAll(',', ''))
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true })
  }

  /** Nothing but what the network says of a server that is meant to be away. */
  assertNoComplaints(): void {
    assert.deepEqual(
      this.complaints.filter((text) => !/ERR_CONNECTION_REFUSED|WebSocket connection to|status of 40[49]/.test(text)),
      [],
    )
  }
}
