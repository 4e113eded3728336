const charsMax = 2_000

/** A screenful of what a program or its log said last, for the fault that it leads to. */
export function lastWords(text: string): string {
  return text.trim().slice(-charsMax)
}
