// Writes examples/hotcakes-api.d.ts anew.

import { writeFileSync } from 'node:fs'

import { apiTypes, apiTypesFile } from './api-types.ts'

writeFileSync(apiTypesFile, await apiTypes())
