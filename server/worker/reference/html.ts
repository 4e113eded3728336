/** Text as HTML shows it, also between the double quotes of an attribute. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/**
 * The Markdown of the project's own texts, as far as they use it: paragraphs, lists of one level, blocks of code, `code`,
 * **bold** and links. Anything else stands there as it is; nothing of it becomes markup.
 */
export function markdown(text: string): string {
  return text
    .split(/^(```.*?^```)$/ms)
    .map((part) =>
      part.startsWith('```')
        ? codeBlock(part)
        : part
            .split(/\n{2,}/)
            .map(block)
            .join(''),
    )
    .join('')
}

/** The same of one line: no paragraph around it. */
export function inlineMarkdown(text: string): string {
  return text
    .split(/(`[^`]+`)/)
    .map((part) => (part.startsWith('`') ? `<code>${escaped(part.slice(1, -1))}</code>` : withoutCode(part)))
    .join('')
}

function codeBlock(text: string): string {
  const code = text.slice(text.indexOf('\n') + 1, text.lastIndexOf('\n'))
  return `<pre><code>${escaped(code)}</code></pre>`
}

function block(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') return ''
  if (!trimmed.startsWith('- ')) return `<p>${inlineMarkdown(trimmed)}</p>`
  const points = trimmed.slice(2).split(/\n- /)
  return `<ul>${points.map((point) => `<li>${inlineMarkdown(point)}</li>`).join('')}</ul>`
}

/** A link into the repository leads nowhere on a server: its words stay. */
function withoutCode(text: string): string {
  return escaped(text)
    .replaceAll(/\*\*(.+?)\*\*/gs, '<strong>$1</strong>')
    .replaceAll(/\[([^\]]+)\]\(([^)\s]+)\)/g, (_, words: string, target: string) =>
      /^(https:\/\/|\/)/.test(target) ? `<a href="${target}">${words}</a>` : words,
    )
}
