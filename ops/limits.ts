/** Every bound of what stands around the server, as core/limits.ts has those of the server itself. */

// --- embedded services ---

/** Longest wait for an embedded service to answer. Redis reads its whole append-only file first, Postgres may have to recover. */
export const embeddedStartMsMax = 120_000
/**
 * Starts of one embedded service before giving up: the free port may be taken in between, or a dead predecessor's memory
 * still be in use.
 */
export const embeddedStartAttempts = 3
/** Waits before the next of those attempts. */
export const embeddedRetryDelayMs = 1_000
/** How often a starting service is asked whether it answers: a warm start takes about 100 ms. */
export const embeddedProbeIntervalMs = 20
/** Longest wait for the answer to one such question. */
export const embeddedProbeMsMax = 2_000
/** An embedded service that hasn't ended so long after its stop signal gets the next, harder one. */
export const embeddedStopMsMax = 10_000
/** Longest run of a tool that sets up the embedded Postgres (initdb syncs some thousand files). */
export const embeddedToolMsMax = 120_000
/**
 * Masters of an embedded cluster. More shards than that share them: each is a process with a log of its own to sync, and the
 * machine has one disk.
 */
export const embeddedMastersMax = 8
/** Longest wait for nodes to be one cluster: masters take writes two seconds after their start at the earliest. */
export const clusterFormingMsMax = 60_000
/** How often they are looked at meanwhile, and from when on it is said what they wait for. */
export const clusterFormingPollMs = 100
export const clusterFormingSayMs = 4_000
/** Replicas of a master: each takes in all that it writes. */
export const clusterReplicasMax = 5
/** How long npm run cluster waits for nodes that don't answer yet: containers start within seconds. */
export const clusterWaitSecondsDefault = 30
/** Between two attempts to make a cluster of nodes of which one didn't answer. */
export const clusterRetryDelayMs = 1_000
/**
 * Longest wait for one key to be in the other master, which is busy with it meanwhile: above what the largest takes. And what a
 * second moves at least: on two busy cores the items of 100,000 (9 MB) took 2.9 s, and those of a million (88 MB) 58 s.
 */
export const moveKeyMsMax = 300_000
export const moveBytesPerSecondMin = 1_500_000
/** Longest silence of the other master besides: the old one does nothing else meanwhile, and must not count as away. */
export const moveSilenceMsMax = 1_500
/**
 * A key is sent so often before the move is given up, which leaves the shard closed until somebody runs it again. In between
 * the old master gets to its other shards.
 */
export const moveKeyAttemptsMax = 4
export const moveAgainMs = 500
/** How often it is said how far the move is. */
export const moveSayMs = 2_000
/** How often npm run move-shard looks whether Postgres has the log, or the shard decides: it is closed meanwhile. */
export const movePollMs = 50
/** How long it waits for that, unless told otherwise. A server copies some ten thousand entries a second. */
export const moveWaitSecondsDefault = 30
/** How long it may have the lock that keeps everybody from admitting a run of Redis. */
export const moveLockMsMax = 3_600_000
/** Of maxmemory at the new master, with the shard: workers sell nothing above. */
export const moveMemoryShareMax = 0.9
/** Keys of a slot that are listed at once. A sale that is listed has six. */
export const moveKeysPerList = 1_000
/** An embedded master that is silent for so long counts as away to the others: above a disk's hiccup. None takes its place. */
export const embeddedNodeTimeoutMs = 5_000
/** How long a start waits for a predecessor on the same data that is just stopping. */
export const predecessorStopMsMax = 15_000

// --- containers ---

/** How long a container's health check waits for its answer. */
export const healthcheckMsMax = 3_000

// --- reload ---

/** How long `npm run reload` waits: each worker waits for its successor, and then for its connections to say something. */
export const reloadWaitMsMax = 120_000
/** How long `npm run reload` waits for the answer to one look. */
export const reloadProbeMsMax = 5_000

/** How long `npm run recover` waits, unless told otherwise, for a server to copy the rest of the log to Postgres. */
export const recoverWaitSecondsDefault = 30

// --- audit ---

/** How long the audit waits, unless told otherwise, until Postgres has what Redis had when it was read. */
export const auditWaitSecondsDefault = 30
/** How often it looks meanwhile. */
export const auditPollMs = 100
/** Longest wait for Redis' answer to the audit: a sale of a million touched items is some 100 MB in one reply. */
export const auditRedisTimeoutMs = 60_000
/** Some of its statements read and sort the whole record. All of them together take 12 s for ten million attempts, measured. */
export const auditStatementTimeoutMs = 600_000
/** Memory that such a sort may use before it goes to disk, in Postgres' own unit. */
export const auditSortMemory = '256MB'
/** Purchases read from Postgres at once: the rows of one read are in memory twice, as text and as objects. */
export const auditPurchasesPerRead = 50_000
/** What happened so long before a sale's time happened before it was opened: six times how far ahead that may be. */
export const auditAheadMs = 3_600_000
/** Users whose entries it reads at once in Redis, which others wait for: as many as some thousand entries of items. */
export const auditUsersPerRead = 1_000
/** Rows shown of each kind of breach: enough to see a pattern, and the count says how many there are. */
export const auditBreachRowsMax = 20

// --- export ---

/** Purchases that npm run export has in memory at once: some megabytes. */
export const exportRowsPerRead = 5_000
/** Longest export: a sale of a million purchases takes some ten seconds, and its snapshot holds back what Postgres may clean up. */
export const exportMsMax = 3_600_000
/** How often an export or an archive says how far it is. */
export const progressSayMs = 1_000

// --- retired days ---

/** Of the rows of a day in memory at once, before they are compressed: a few thousand rows, and gzip gains nothing from more. */
export const archivePartBytes = 1_048_576
/** Longest statement on a day that is retired: it is read and sorted on one core, some seconds for ten million rows. */
export const retireStatementTimeoutMs = 3_600_000
/**
 * One try for the lock under which a day's partitions go. While it waits, whoever else wants the tables waits behind it, so it is
 * far below the second after which a persister says that it is locked out; and it rests so long before the next one.
 */
export const retireLockMsMax = 100
export const retireLockRestMs = 1_000
/** Tries before it gives up: some ten minutes, which an audit of a large record may take. */
export const retireLockTries = 540
/** Longest wait for another run that was killed: Postgres notices it within a second, while no disk is slow. */
export const retireTurnMsMax = 15_000
/** How often it looks. */
export const retireTurnPollMs = 200

// --- npm run token ---

/** How long a token of a developer counts: an afternoon's trial at first, a year at most. */
export const tokenMinutesDefault = 60
export const tokenMinutesMax = 525_600
