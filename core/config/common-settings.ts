/** What several settings have in common. */

export const host = { format: 'hotcakes-host' } as const
export const path = { format: 'hotcakes-path' } as const
export const port = { format: 'hotcakes-integer', min: 1, max: 65_535 } as const
export const secret = {
  format: 'hotcakes-text',
  // Control characters can't be part of a connection string, and mostly come from a badly quoted secret file.
  pattern: /^[^\p{Cc}]{0,1024}$/u,
  allowed: 'at most 1024 characters, none of them a control character',
  sensitive: true,
} as const
