/** A part of a document that a program writes, between two comments that name it. */
export type SectionName = 'headline' | 'performance'

/** What stands between the markers. @throws Error when they are not there */
export function sectionIn(document: string, name: SectionName): string {
  const [begin, end] = place(document, name)
  return document.slice(begin, end)
}

/** The document with `section` between its markers. @throws Error when they are not there */
export function withSection(document: string, name: SectionName, section: string): string {
  const [begin, end] = place(document, name)
  return document.slice(0, begin) + section + document.slice(end)
}

function place(document: string, name: SectionName): [begin: number, end: number] {
  const opening = `<!-- ${name}:begin -->`
  const closing = `<!-- ${name}:end -->`
  const begin = document.indexOf(`${opening}\n`)
  const end = document.indexOf(closing)
  if (begin < 0 || end < begin) throw new Error(`the document has no ${opening} followed by ${closing}`)
  return [begin + opening.length + 1, end]
}
