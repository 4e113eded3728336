import { escaped } from './html.ts'

/** A page of the reference, in the board's look: it needs no script, and one more file only makes its forms work. */
export function pageOf(options: {
  readonly title: string
  /** Links to parts of it. */
  readonly contents: string
  readonly main: string
  readonly hasForms?: boolean
}): string {
  const { title, contents, main, hasForms = false } = options
  const script = hasForms ? '\n<script type="module" src="/docs/try.mjs"></script>' : ''
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/theme.css">
<link rel="stylesheet" href="/docs/docs.css">${script}
</head>
<body>
<a class="skip" href="#main">Skip to the text</a>
<header class="top">
<a class="brand" href="/">hotcakes</a>
<nav aria-label="Pages"><a href="/docs">API</a> <a href="/docs/errors">Errors</a> <a href="/openapi.json">OpenAPI</a> <a href="/">Board</a></nav>
</header>
<div class="columns">
<nav class="contents" aria-label="On this page">${contents}</nav>
<main id="main" tabindex="-1">${main}</main>
</div>
</body>
</html>
`
}
