/** What people paste into a setting, told from what it wants, and shown without what may be a secret. */

import { closestName } from './closest.ts'
import type { Setting } from './kinds.ts'

/** A few characters, a word or two, or something like a number: no password that is worth its name. */
const harmless = /^(?:[^@]{1,8}|[A-Za-z][A-Za-z_ -]{0,15}|[\d\s.,:_/+-]{1,40}[A-Za-z]{0,7})$/u

/** A value in an error. A secret that was pasted into the wrong variable must not end in a log. */
export function shown(text: string): string {
  return harmless.test(text)
    ? JSON.stringify(text)
    : `these ${text.length} characters (not shown: they may be a secret)`
}

/** What is odd about a value that can't be used, and what to write instead; `undefined` where it can't be told. */
export function hintFor(setting: Setting, text: string): string | undefined {
  if (setting.format === 'hotcakes-path' && text.includes('-----BEGIN')) return 'name a file that holds it'
  return wrappingHint(text) ?? kindHint(setting, text)
}

/** What a .env file takes away is part of the value where a container platform sets it. */
export function wrappingHint(text: string): string | undefined {
  if (text.trim() !== text) return 'leave out the white space around it'
  if (/^(["'`]).*\1$/s.test(text)) return 'leave out the quotes, which are part of the value here'
  return undefined
}

function kindHint(setting: Setting, text: string): string | undefined {
  switch (setting.format) {
    case 'hotcakes-integer':
      return serviceLinkHint(setting.env, text) ?? numberHint(setting, text)
    case 'hotcakes-choice': {
      const meant = setting.meant?.[text.toLowerCase()] ?? closestName(text.toLowerCase(), setting.choices)
      return meant === undefined ? undefined : `did you mean ${meant}?`
    }
    case 'hotcakes-path':
      return pathHint(text)
    case 'hotcakes-text':
      return text.includes('://')
        ? 'a URL has to be taken apart: each of its parts has a variable of its own'
        : undefined
    default:
      return undefined
  }
}

function serviceLinkHint(env: string, text: string): string | undefined {
  if (!/^(?:tcp|udp|sctp):\/\//.test(text)) return undefined
  const service = env
    .replace(/_PORT$/, '')
    .toLowerCase()
    .replaceAll('_', '-')
  return `Kubernetes sets this variable in every pod beside a Service named ${service}: enableServiceLinks: false in the pod's spec ends that`
}

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  sec: 1_000,
  second: 1_000,
  seconds: 1_000,
  m: 60_000,
  min: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
}

function numberHint({ unit, min, max }: { unit?: string; min: number; max: number }, text: string): string | undefined {
  const digits = unit === undefined ? portIn(text) : undefined
  const number = groupedNumber(text) ?? digits ?? converted(unit, text)
  return number === undefined || number < min || number > max ? undefined : `write ${number}`
}

function groupedNumber(text: string): number | undefined {
  return /^\d{1,3}(?:[,_ ']\d{3})+$/.test(text) ? Number(text.replace(/\D/g, '')) : undefined
}

/** `8080/tcp`, or the last one of `127.0.0.1:8081:8080`: the port in the container. */
function portIn(text: string): number | undefined {
  const [, only, last] = /^(?:(\d{1,5})\/(?:tcp|udp)|\S*:(\d{1,5})(?:\/(?:tcp|udp))?)$/.exec(text) ?? []
  const digits = only ?? last
  return digits === undefined ? undefined : Number(digits)
}

/** `5m` as the number of the setting's own unit. */
function converted(unit: string | undefined, text: string): number | undefined {
  const [, digits, given = ''] = /^(\d{1,9})\s*([a-z]+)$/i.exec(text) ?? []
  const givenMs = unitMs[given.toLowerCase()]
  const wantedMs = unitMs[unit ?? '']
  if (givenMs === undefined || wantedMs === undefined) return undefined
  const number = (Number(digits) * givenMs) / wantedMs
  return Number.isInteger(number) ? number : undefined
}

/** Only a shell makes a path of these. */
function pathHint(text: string): string | undefined {
  if (/^~|^\$|\$\{/.test(text)) return 'write the whole path: ~ and variables are not replaced here'
  if (text.includes('://')) return 'write a path, not a URL'
  return undefined
}
