import { get } from 'node:http'

export interface TextAnswer {
  readonly status: number
  readonly text: string
}

/**
 * One answer of one of our servers, over a connection of its own. Any port can be asked, which `fetch` can't: the Fetch standard
 * has some eighty "bad ports", 6000 and 10080 among them, and an operator may have chosen one.
 * @throws Error when nobody answers, or not within `msMax`
 */
export function getText(url: string, msMax: number): Promise<TextAnswer> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent: false, signal: AbortSignal.timeout(msMax) }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('error', reject)
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
    })
    asked.on('error', reject)
  })
}
