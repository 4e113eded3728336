/**
 * Every bound of the running system, each with its unit in its name and the reason for its value; server/worker/limits.ts has
 * those between an HTTP worker and its clients.
 */

// --- batching: HTTP worker -> Redis ---

/**
 * Commands in one function call. Redis is busy for the whole call (5 to 7 us a command in large ones, npm run bench:budget), so
 * 512 keep every other client waiting for 3 ms; Lua can unpack at most some 8,000 values onto its stack.
 */
export const batchCommandsMax = 512
/**
 * Function calls out at once, per HTTP worker. With one, Redis idles while a reply travels; with more, batches get
 * smaller and each costs Redis and the log a fixed share again. Two overlaps the two halves.
 */
export const batchesInFlightMax = 2
/**
 * While a call is out, the next one leaves only with so many commands. The fixed share of a call, half of it its fsync, costs
 * Redis as much as some 50 commands (npm run bench:budget: 0.6 ms with 56, 1.1 ms with 156), so a smaller second one would
 * make every answer dearer and none earlier.
 */
export const batchOverlapCommandsMin = 64
/**
 * Commands waiting in one HTTP worker, those in flight included; above it 503 at once. How many it is at the moment
 * follows from the deadline and from how fast Redis was seen to answer; these are its ends. The least are two full
 * calls: fewer would leave Redis idle. The most are 0.1 s of work at best and bound the memory.
 */
export const commandsWaitingMin = 2 * batchCommandsMax
export const commandsWaitingMax = 8_192
/** Longest wait for Redis' answer to one call. Far above an fsync on a slow disk, far below a client's patience. */
export const redisCommandTimeoutMs = 3_000
/** Longest wait for a TCP connection to Redis. */
export const redisConnectTimeoutMs = 2_000
/** Least major version of Redis: the first with function libraries. */
export const redisMajorVersionMin = 7
/** Waits between attempts to connect to Redis again grow up to this. */
export const redisReconnectDelayMsMax = 500
/** A connection that isn't turned away for so long leads to the right Redis: the next one is tried soon again. */
export const redisQuietMs = 2_000
/**
 * A connection to a master that is given up is closed after so long at the latest. One that is well closes at once; one that
 * hangs may have been replaced, and nobody should wait for it.
 */
export const clusterDisconnectMsMax = 200

/**
 * Shards of an installation. Each costs every HTTP worker a connection and a look a second, and each buyer who needs an
 * item of another shard up to one command at each: 64 masters decide far more than one record takes in.
 */
export const shardsMax = 64
/** Nodes in REDIS_CLUSTER: it needs as many as may be away at once, and one more. */
export const clusterNodesListedMax = 64
/** Nodes of which one look at the map of a cluster asks: 64 masters with three replicas each. */
export const clusterNodesAskedMax = 256
/**
 * After the first answer to such a look, the other nodes get so long for theirs: a node that was cut off from the others may
 * be the first to answer, and doesn't know it. Far above a trip between data centres and a long call of Redis.
 */
export const clusterStragglersMsMax = 500
/** Connections that look for their master at about the same time share the look that began at most so long ago. */
export const clusterLookSharedMs = 100

// --- sales ---

/** Longest hold that can be set: a day. */
export const holdSecondsMax = 86_400
/** After Redis did not open a sale, it is asked again this much later. */
export const saleOpenRetryMs = 250
/** The rotation looks at Redis' clock at least this often: timers end at 24 days, and clocks get stepped. */
export const saleCheckMsMax = 10_000
/** The next sale is opened this long before its boundary, so that no request waits for it at the boundary. */
export const saleOpenAheadMs = 5_000
/**
 * A sale of several shards is opened half an interval ahead, and this long at most: a shard that is away at that moment has so
 * long to come back. Earlier would keep what an operator sets from the sales to come.
 */
export const saleOpenAheadSeveralMsMax = 600_000
/** Of how many sales a worker keeps in mind what was sold: the current one and, about a boundary, its neighbour. */
export const soldSalesMax = 2
/** Items with a greater index are looked at each time: a bit each is 1 MiB a sale, a shard and a worker. */
export const soldIndexMax = 2 ** 23 - 1
/** Sales that are not due and of which a worker knows the shards, at some 100 bytes each. One it has forgotten costs a call. */
export const salesKnownMax = 4_096

// --- rights, in sales of several shards ---

/** Checkouts of one HTTP worker that wait for a right, or for their turn; above it 503 at once. As many as may wait for Redis at most. */
export const rightsSeekersMax = 8_192
/**
 * Of one buyer of a sale: they take turns, at a few calls of Redis each. No honest client has nearly as many requests out,
 * and one that has takes the turns of nobody else.
 */
export const rightsSeekersPerBuyerMax = 256

// --- log -> Postgres ---

/**
 * Log entries read at once, however few rows each has: Redis is busy for two or three milliseconds. A fifth of it drains a backlog of
 * small entries 0.7 times as fast (npm run bench:growth -- drain).
 */
export const drainEntriesMax = 5_000
/**
 * Rows in a transaction that is worth waiting for: past that COPY gains nothing. A read is of twice as many at most, by what
 * the last entries held, so that what is behind comes in steps that Redis and the copy thread hardly feel. Entries that hold
 * more than the last ones bring more rows, once: drainEntriesGrowthMax and drainBytesMax bound that.
 */
export const drainRowsAim = 10_000
/** Bytes of log entries after which a read is split further; bounds the memory of the copy thread. */
export const drainBytesMax = 16 * 1024 * 1024
/**
 * Time between the starts of two transactions while nobody waits for a commit: each has its fsync and some milliseconds of
 * CPU, whatever it holds, so it grows with the load from the first to the second. Half a second is as far from the moment at
 * which another server's persister takes this one for gone (drainStandbyMs), and the record is still there within a second.
 */
export const drainIntervalMsMin = 100
export const drainIntervalMsMax = 500
/**
 * Log entries read at once while nothing is known of what they hold: at first, and after a failure. Each may hold a whole batch,
 * some 28 KB: so few are a megabyte, and no more rows than any other read is of.
 */
export const drainEntriesFirstMax = Math.ceil((2 * drainRowsAim) / batchCommandsMax)
/**
 * A read is of so many times the entries of the last transaction at most, or of half as many as the last read was allowed: what
 * few entries held says little of many more, and 5,000 full ones are 140 MB, which Redis may not send within
 * redisCommandTimeoutMs. It is above the five times by which a transaction's interval grows, so a steady load fills no read.
 * Four transactions lead from the first read to the greatest.
 */
export const drainEntriesGrowthMax = 6
/** Longest blocking read of the log: how soon an idle persister notices that it should stop. */
export const logReadBlockMs = 500
/**
 * At a stop with several shards a log is left in a Redis that can't be drained for so long: longer than a connection takes to come
 * back, shorter than a failover, for which nobody should wait who wants to stop.
 */
export const drainApartMsMax = 3_000
/** Waits between attempts after Postgres failed grow from the first to the second. */
export const drainRetryDelayMsMin = 100
export const drainRetryDelayMsMax = 2_000
/** A persister that lost the race for an offset stands by this long before it looks again. */
export const drainStandbyMs = 1_000
/** A call of the persister to Postgres that takes longer than a purchase waits for its commit means that Postgres is away. */
export const copyHangMs = 5_000
/** Longest wait of the persister for another session's lock: then it says whose, and tries again. Ten times a transaction. */
export const copyLockMsMax = 1_000
/** Sessions that are named when a lock is waited for. */
export const lockHoldersMax = 3
/** Of why nothing gets into Postgres, as shown to whoever asks: a sentence. */
export const troubleReasonCharsMax = 240
/**
 * The object of a connection to Postgres that is closed is kept for so long: the addon still uses it in the next turn of
 * the event loop.
 */
export const endedClientKeptMs = 60_000
/** A persister whose primary is gone lets its transaction finish for so long. To be killed in it is safe as well. */
export const orphanGraceMs = 5_000
/** A log that was too full takes entries again below this share of its bound: room for the crowd that comes back. */
export const backlogResumeShare = 0.75
/**
 * Share of Redis' maxmemory above which nothing is taken in, and below which it is again. The last tenth is for what is
 * decided in the second until the next look, and for the buffers of clients.
 */
export const memoryShareMax = 0.9
export const memoryResumeShare = 0.85
/** Values in one call of a rebuild: Lua can unpack some 8,000 onto its stack, and Redis is busy for about a millisecond. */
export const rebuildValuesMax = 4_000
/** Rows of the record that a rebuild reads at once. */
export const rebuildRowsMax = 10_000
/** Longest wait of a rebuild for a persister's transaction that is under way: one that hangs must not hold it for ever. */
export const rebuildLockMsMax = 5_000
/** A rebuild reads all attempts of the live sales: some seconds a million. One that takes longer is given up and begun anew. */
export const rebuildMsMax = 600_000
/** Users of a sale that one call looks at when shards tell each other of their rights: Redis is busy for about a millisecond. */
export const exchangeUsersPerCall = 1_000
/** A shard that gets rights back waits so long for the lender's log to be drained: many of a persister's transactions. */
export const exchangeDrainMsMax = 5_000
/** How often it looks meanwhile. */
export const exchangePollMs = 50
/** While a worker may not have Redis decide it looks this often whether it may again: selling goes on so soon after. */
export const recordLookMs = 100
/**
 * So often a process whose connection leads to a Redis that was replaced makes a new one, which may lead to the other: each
 * costs a line or two of the log.
 */
export const misledReconnectMs = 5_000
/** How long the primary waits for its workers to say what they have answered before it judges Redis. */
export const seenGatherMsMax = 1_000
/** How often every process learns the state of the log, and the persister publishes its own. */
export const logStateIntervalMs = 1_000
/** After so long without a word from it the persister counts as gone: ten of these intervals. */
export const persisterSilenceMsMax = 10_000
/** Longest wait for a TCP connection to Postgres. */
export const postgresConnectTimeoutSeconds = 3
/**
 * A connection to Postgres on which nothing comes back is given up after 5 + 3 * 2 s. The calls on it block their
 * thread, so this also bounds how long a dead network can hold the copy thread.
 */
export const postgresKeepaliveIdleSeconds = 5
export const postgresKeepaliveIntervalSeconds = 2
export const postgresKeepalives = 3
/** A statement of the persister that runs longer is cancelled by Postgres: far above 2 * drainRowsAim rows on a slow disk. */
export const postgresStatementTimeoutMs = 30_000
/**
 * Statements beside selling (records, checks of the state), per process: connections, how many may wait for one, and how
 * long one may take, its wait included. Each is an index lookup of some milliseconds: the bounds only tell at what point
 * a Postgres that is slow or hangs is given up.
 */
export const asyncPostgresConnectionsMax = 2
export const asyncPostgresWaitingMax = 64
export const asyncPostgresDeadlineMs = 2_000
/** After a failed attempt to connect, statements are refused at once for so long: it grows from the first to the second. */
export const asyncPostgresRetryDelayMsMin = 100
export const asyncPostgresRetryDelayMsMax = 2_000
/** Connections of one HTTP worker: two for reading, and one for counts that take longer. */
export const postgresConnectionsPerWorker = 3
/** Of the primary (six), the persister, an audit, an export and a recovery, with room for people. */
export const postgresConnectionsBeside = 14
/** A schema file may build an index over a table that has long been in use, or wait for another server's migration. */
export const schemaStatementTimeoutMs = 600_000
/**
 * Longest wait of a schema file for the lock of one table. While it waits, whoever else wants the table waits behind it: a
 * minute outlasts reports and dumps of a shop's size, and the start can be repeated.
 */
export const schemaLockMsMax = 60_000
/** Longest wait of the start for two sessions of Postgres: a pooler in session mode may have none free for another client. */
export const poolerAnswerMsMax = 5_000
/** Longest run of the start's proof, and beyond its own bounds of a step of the set-up: a dead connection says nothing. */
export const proofMsMax = 60_000
/** Longest wait of the start's proof for one lock: selling can begin without it, as the log waits in Redis. */
export const proofLockMsMax = 5_000
/** A wait that lasts longer says what it waits for. The persister looks once a second: it has said so before two have passed. */
export const waitSayMs = 1_000

// --- acknowledgement, with APP_ACK=postgres or replica ---

/**
 * Longest wait of an answer for Postgres, or for the replicas. A hundred commits on a busy disk, and above the two seconds
 * after which a commit is known whose message was lost; still within a client's patience.
 */
export const ackWaitMsMax = 5_000
/** Purchases of an HTTP worker whose answers wait for Postgres, at 0.6 KB each: seconds of them. Above it 503 at once. */
export const answersUncommittedMax = 16_384
/** One WAIT for the replicas lasts so long at most: then it is looked again which ones there are. */
export const replicaWaitMs = 500

// --- readiness ---

/** A worker that hasn't said so long after it was asked how it is counts as not ready: a turn of its event loop takes some ms. */
export const healthGatherMsMax = 600
/** Least time between two such rounds: however many probes come, each worker is asked so often. */
export const healthRoundIntervalMs = 100
/** Longest wait of a probe for the primary: a round that is running already, the pause, and a round of its own fit in. */
export const healthProbeMsMax = 1_500

// --- supervision ---

/** HTTP workers: as many as the largest machines have cores. */
export const workersMax = 256

/** How often a child tells the primary that its event loop turns. */
export const heartbeatIntervalMs = 1_000
/**
 * A child that isn't ready this long after its fork, or after it last said what it waits for, is killed and counts as dead.
 * Also the bound for the first start of all, and for a successor in a reload, which may not wait for longer either. To load
 * its code takes half a second of CPU: 20 s were too few on two cores with fifty processes that wanted them (seen).
 */
export const childStartMsMax = 60_000
/** First and longest wait before a dead child is replaced. */
export const restartDelayMsMin = 100
export const restartDelayMsMax = 5_000
/** More deaths of children than this within the window end the whole service: something is wrong with all of them. */
export const crashBudgetDeaths = 20
export const crashBudgetWindowMs = 60_000
/** How long a scrape waits for a child's numbers before it answers without them. */
export const metricsGatherMsMax = 1_000
/** How often the primary asks for everybody's numbers unasked: a killed child takes at most so long of its counts along. */
export const metricsRefreshMs = 1_000
/** How often the primary looks for children that are late: far finer than the least heartbeat bound of 3 s. */
export const watchIntervalMs = 500
/**
 * If the primary itself didn't run for so long (stopped, or the machine slept), its children's silence proves nothing:
 * their messages lie unread.
 */
export const watchGapMsMax = 2_000

// --- the keys of signed buyers (APP_BUYERS=signed) ---

/** Keys in a set: an issuer that rotates publishes two or three. Each costs every worker some trial checks. */
export const tokenKeysMax = 32
/** Of a file or an answer with keys: a set of so many with their certificates has a quarter of it. */
export const keyTextBytesMax = 262_144
/** Shorter RSA keys are not taken (RFC 7518, 3.3); jose refuses them too. */
export const tokenRsaBitsMin = 2_048
/** How often a URL is asked unasked: what an issuer withdraws is believed for so long, and each server asks so seldom. */
export const keyUrlLookMs = 300_000
/** How often the file is read, some KB: a new key counts so soon after it was put there. */
export const keyFileLookMs = 5_000
/** Least time between two looks at a file, when a token names a key that nobody knows. */
export const keyFileRestMs = 1_000
/**
 * Least time between two questions to a URL, whatever tokens name: tokens with made-up key ids must not become requests to
 * the issuer. Also the pause after a look that failed.
 */
export const keyLookRestMs = 10_000
/** Longest wait for a URL's answer. */
export const keyFetchMsMax = 5_000
/** Keys that were last seen at their source so long ago are said to be stale: three looks at a URL have failed. */
export const keysStaleMs = 900_000
/** And after so long nothing is checked with them any more: a withdrawn key must not count for ever because its source is away. */
export const keysUsableMsMax = 86_400_000

// --- start and shutdown of the service ---

/** So long after the last server a setting that all share stays: longer than a restart of Redis, shorter than a start waits. */
export const sharedSettingLeaseMs = 15_000
/** Sale numbers of so much time to come must be unused in the record. What is used later is found at a later start. */
export const saleNumbersAheadMs = 90 * 86_400_000

/** How long a start waits for Redis and Postgres to answer: in a container set-up all of them start at once. */
export const dependencyStartMsMax = 30_000
/** Wait between two such attempts. */
export const dependencyRetryDelayMs = 500
/**
 * A second signal so soon after the first is an echo of it: a terminal sends Ctrl+C to the whole process group, and
 * npm, which is part of it, passes its copy on. A person's second press comes later.
 */
export const signalEchoMs = 300
/** A forced end asks Redis for so long how much of the log is left, and waits for so long for what it killed. */
export const leftQueryMsMax = 500
export const forcedEndMsMax = 2_000

// --- reload, audits ---

/** How long a reload waits for workers that are just starting, unless they wait for something themselves. */
export const reloadSettleMsMax = 10_000
/** How often it looks. */
export const reloadPollMs = 200
/** How often the primary looks for the verdict of a new audit: audits run by the hour or the day. */
export const auditLookIntervalMs = 5_000

// --- indexes of days that are over ---

/** A day counts as over so long after its end, once all log entries are younger: nobody writes to its partitions any more. */
export const dayIndexDelayMs = 1_800_000
/** How often the primary looks for such a day, with one query of the catalogue. */
export const dayIndexLookMs = 600_000
/** After the indexes of a day it rests so many times as long as they took: many days take a fifth of a core at most. */
export const dayIndexRestRatio = 4

/** How often the primary looks how old the oldest day on record is, with one query of the catalogue. */
export const recordDaysLookMs = 60_000

// --- GET /purchases, on the operators' port ---

/** Purchases on a page: the primary builds one in some milliseconds, and does nothing else meanwhile. */
export const purchasesPerPageDefault = 100
export const purchasesPerPageMax = 1_000
/** Of a page. A thousand purchases have a quarter of it; what a table holds that others have written to may be longer. */
export const purchasesPageBytesMax = 1_048_576
/** Readers that are served at once, from the request until the last byte is taken: each has a page in memory. */
export const purchasesReadersMax = 8
/** From the request until the reader has taken the last byte; its connection is closed then: it has the place of another one. */
export const purchasesAnswerMsMax = 30_000
/** For one page, its wait for the connection that all readers share included. Postgres cancels what takes longer. */
export const purchasesDeadlineMs = 5_000
/** After so long no further part of the log is looked at: the page is what was found by then, and says that there is more. */
export const purchasesSearchMsMax = 250
/**
 * Log entries that one look for purchases goes through at first. Whatever a look finds is read and sorted before the first rows are
 * taken, so it begins with few, and the next has so many times more where there was less than a page. Above the greatest, the
 * rest of the epoch.
 */
export const purchasesWindowBatchesMin = 64
export const purchasesWindowGrowth = 16
export const purchasesWindowBatchesMax = 4_194_304
/** Of a cursor: 64 shards with all numbers at their longest. */
export const cursorLengthMax = 8_192
/** A connection on the operators' port that sends no whole request is closed after so long. */
export const operatorsRequestMsMax = 10_000

// --- spans (OTEL_EXPORTER_OTLP_ENDPOINT) ---

/** Spans of a process that have ended and wait to be sent, some KB each; further ones are dropped, and counted. */
export const spansQueuedMax = 2_048
/** In one request to the collector: OpenTelemetry's own default. */
export const spansPerExportMax = 512
/** Spans are sent as soon as there are enough for a request, and after so long at the latest. */
export const spanExportIntervalMs = 5_000
/** For one request to the collector with all its retries: what comes later may find no room in the queue. */
export const spanExportMsMax = 10_000
/** At the end of a process: a collector that doesn't answer keeps nobody from stopping. */
export const spanFlushMsMax = 1_000
/** A batch names so many of its sampled requests; with a small ratio it has one or two. */
export const spanLinksMax = 128
