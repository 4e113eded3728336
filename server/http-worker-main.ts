/*
 * What a primary of the version before forks when it replaces a worker after this version was put in its place: the
 * worker's program was here. It may go when nobody reloads from 0.1.0.
 */

import './worker/main.ts'
