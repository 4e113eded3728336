// What has to be seen wherever the page is scrolled to, and is heard as well.

/** Long enough to be read by who looked elsewhere, and it is in nobody's way. */
const goodMs = 15_000

export class Toast {
  #element
  #announce
  #timer

  /** @param {HTMLElement} element @param {(text: string) => void} announce for those who hear the page */
  constructor(element, announce) {
    this.#element = element
    this.#announce = announce
    element.querySelector('button').addEventListener('click', () => this.hide())
  }

  /** Stays until the next thing that its reader does. */
  fail(text) {
    this.#show(text, 'bad')
  }

  tell(text) {
    this.#show(text, 'good')
    this.#timer = setTimeout(() => this.hide(), goodMs)
  }

  hide() {
    clearTimeout(this.#timer)
    this.#element.hidden = true
  }

  #show(text, kind) {
    clearTimeout(this.#timer)
    this.#element.dataset.kind = kind
    this.#element.querySelector('p').textContent = text
    this.#element.hidden = false
    this.#announce(text)
  }
}
