/**
 * Every bound between an HTTP worker and its clients: connections, requests, reading, the board. Those of deciding, recording
 * and supervising are in core/limits.ts.
 */

// --- HTTP ---

/** Seconds a client that got a 503 is asked to wait: jittered between the two so that a crowd does not come back at once. */
export const retryAfterSecondsMin = 1
export const retryAfterSecondsMax = 3
/**
 * Refusals of an overload that one HTTP worker sends a second. One costs it some 9 us with its request, so this is 5 % of its
 * core; the others wait, and their connections with them. Where more wait than leave in refusalHoldMsMax they leave by their
 * time: 15 % at refusalsHeldMax, whose connections can't ask again before.
 */
export const refusalsPerSecondMax = 5_000
/** None waits longer: a client's own patience is some seconds. */
export const refusalHoldMsMax = 1_000
/** Refusals that wait in one HTTP worker, some 0.5 KB each; above it at once. One a connection, so many crowds are less. */
export const refusalsHeldMax = 16_384
/** Waiting refusals leave together: a timer for each would cost more than its answer. */
export const refusalTickMs = 5
/**
 * New connections of one HTTP worker whose first request is read in one turn of its event loop. In a process of its own, 64
 * buyers on kept connections have two thirds of the answers beside 300 clients that connect for each request. Beside a flood of
 * 2,000 a whole server's keep a third, with 4 in a turn as with 16 (npm run bench:connections): the rest is what the kernel takes.
 */
export const connectionsBegunPerTurnMax = 16
/** A connection whose turn has not come after this long is closed. Most clients wait so long for an answer, and no longer. */
export const connectionHoldMsMax = 5_000
/**
 * Connections closed in one turn, of those whose turn has not come and of those that are too many: the others wait for it. At
 * some 47 us each that is 3 ms, about what a turn takes under load, and four times as many as begin in one.
 */
export const connectionsClosedPerTurn = 64
/** Connections that are too many and wait to be closed: half of fileDescriptorsReserved. Those above it are closed at once. */
export const connectionsRefusedWaitingMax = 128
/** While draining, idle keep-alive connections get this long to send one more request and be told to close. */
export const drainIdleMs = 500

/**
 * How long an idle connection may be used, as answers say it (Keep-Alive). uWebSockets.js closes one that was silent for 8
 * to 12 s, and can't be told another time; a second less than the least of it is for the way there and back.
 */
export const keepAliveHintSeconds = 7

/** Characters of a query string. Three times what the longest well-formed one needs when all of it is escaped. */
export const queryLengthMax = 1_024
/** Requests for the state of the sale that wait for one call to Redis; above it 503 at once. */
export const saleRequestsWaitingMax = 8_192
/**
 * While some address is above half of the connections that it may have, the kernel's table of sockets is looked at again
 * and again. Each rest is so many times as long as the look was, this long at most: a look at 20,000 sockets takes some
 * 10 ms, most of it in another thread, one at a few hundred is done at once. A client may be refused for so long that
 * opened more than its bound and has closed them again since the last look.
 */
export const addressLookIntervalMs = 500
export const addressLookRestRatio = 50
/** Addresses whose connections are counted, at some 100 bytes each; above it those that have none any more are forgotten. */
export const addressesCountedMax = 50_000
/** Rows in one page of a list. A page of items is one HMGET, of records one walk along an index. */
export const pageRowsMax = 100
export const pageRowsDefault = 50
/** Items that are looked at in one call for a page with a state asked for: some 0.2 ms of Redis. */
export const itemsScannedMax = 500
/** Such calls for one page, while it has nothing and GET /sale counts an item in that state: a sale of 10,000 items is looked through. */
export const itemScansMax = 20
/**
 * Reads at once in one HTTP worker: from Redis, from Postgres, and pictures being drawn, some 0.1 ms each. With one, what
 * reading can take of Redis is bounded by the time that an answer travels, whatever comes.
 */
export const redisReadsInFlightMax = 1
export const postgresReadsInFlightMax = 2
export const picturesDrawnAtOnceMax = 1
/**
 * While as many checkouts and purchases wait as a second call to Redis needs, the next read begins so much later: fifty a
 * second of each kind and worker then, and any number of requests for the same.
 */
export const readPauseMs = 20
/** Requests that wait for each of these three; above it 503 at once. Some 0.1 to 0.5 s of reading. */
export const readRequestsWaitingMax = 256
/** A reader whose turn comes later than this gets a 503: reading is slow only when something is wrong. */
export const readDeadlineMs = 2_000
/** Longest wait that a reader may ask for until the record has something: shorter than what proxies and clients wait at least. */
export const recordWaitMsMax = 5_000
/** Readers that wait so in one HTTP worker, at some 1 KB each; above it 503 at once. */
export const recordWaitersMax = 256
/** While anybody waits the record is asked this often how far it is, once for all of them: 50 statements of 0.1 ms a second at most. */
export const recordLookPauseMs = 20
/** Pictures kept by one HTTP worker, at 1.5 KB each. */
export const picturesKeptMax = 4_096
/** Longest wait for the counts of a sale that Redis has dropped: its attempts are counted in Postgres, millions in seconds. */
export const saleCountsDeadlineMs = 15_000
/** Such counts that are kept, at some 200 bytes each; and for how long when they may still change (Redis is away). */
export const saleCountsKeptMax = 1_000
export const saleCountsFreshMs = 10_000
/** Curves of sales that are kept, at some 10 KB each. */
export const saleCurvesKeptMax = 100
/**
 * Addresses, or buyers, in each of the two generations that a rate limit knows, at some 100 bytes each, and a buyer's id of up to
 * 255 more. When more than these ask within a second, the ones that asked first are forgotten, and may ask anew: memory is bounded
 * before the rate is.
 */
export const rateLimitKeysMax = 50_000
/** How long a browser may go without asking again what another origin may do: the most that Chromium takes. */
export const preflightSecondsMax = 7_200
/** File descriptors of a worker that are not for clients: its own files, Redis, Postgres, and those just being accepted. */
export const fileDescriptorsReserved = 256
/**
 * A worker whose place another has taken stops listening when no connection came for so long: those that wait in the
 * queue of a socket are reset when it closes, so it should be empty then.
 */
export const retireQuietMs = 200
/** It stops listening after this long at the latest: clients that connect for each request never leave it quiet. */
export const retireListenMsMax = 2_000
/**
 * Its idle keep-alive connections get so long to send one more request and be told to close: a connection that is closed
 * just as its client sends loses that request.
 */
export const retireIdleMs = 5_000
/**
 * A file above the first size is sent at most so many bytes at once and so many a second, by each worker: a client that asks
 * and doesn't read leaves all of it in the kernel's memory, of which 1,000 sockets could take all with a file of 2 MB.
 * A client that has the file asks for it with its ETag, which is not counted.
 */
export const largeFileBytesMin = 64 * 1024
export const largeFileBurstBytes = 40 * 1024 * 1024
export const largeFileBytesPerSecond = 5 * 1024 * 1024
/** Texts below it are sent as they are: the headers of their answer are as long. */
export const compressedBytesMin = 512
/** How often a draining worker looks whether it is done: each look is a few comparisons. */
export const drainCheckMs = 20
/** A worker whose primary is gone may take this long to finish what it accepted. */
export const orphanFinishMs = 1_000

// --- the sale board ---
// Two more bounds are where Redis needs them, in core/redis/functions/reading.lua: WATCH_MS and CHANGES_BYTES_MAX.

/** How often a worker with few viewers asks Redis what changed, and tells them: smooth to the eye. With many it is less often. */
export const boardTickMsMin = 250
/** And never less often than this: a page that hears nothing for three seconds says that it is stale. */
export const boardTickMsMax = 1_000
/** Messages to viewers that a worker aims at: each costs it some 14 us (measured), so all of them 1.4 % of a core. */
export const boardMessagesPerSecond = 1_000
/** With nothing to tell, the viewers hear from the worker this often: they show what they have as stale without it. */
export const boardSilenceMs = 1_000
/** What "a second" is averaged over. */
export const boardRateWindowMs = 1_000
/** Changes read in one call of Redis: 16,384 of them, far more than are decided in a tick. */
export const boardChangesBytesMax = 65_536
/** Items of one HSCAN when all are read: Redis is busy for about 0.2 ms. */
export const boardScanItems = 1_000
/** Points of the curve of what was sold: more than a page shows apart. */
export const boardCurvePointsMax = 256
/** Pages that one worker feeds: at a message a second for each, some 7 % of a core. */
export const boardViewersMax = 5_000
/** Viewers have nothing to say. */
export const boardReceivedBytesMax = 128
/** A viewer that does not answer a ping within so long is gone. */
export const boardIdleSecondsMax = 60
/**
 * Items that the board shows, the first ones of a larger sale: more can't be told apart on a screen, and it is what
 * bounds a message. A whole state of them is 10 KB, a tick in which each changed some 40 KB.
 */
export const boardItemsMax = 40_000
/** What may wait for a slow viewer: a whole state and some ten seconds of changes at a usual pace. */
export const boardBufferedBytesMax = 131_072

/**
 * A page whose WebSocket is blocked asks for the whole state every two to three seconds. The worker follows the sale for so
 * long after the last question, so that the next one finds it in its memory.
 */
export const boardPollLeaseMs = 10_000
/** Such answers of one worker: each is up to 13 KB, so all of them 2.6 MB a second. Above it 503, and the page asks later. */
export const boardPollsPerSecondMax = 200
/** Of them those that wait for the sale to be read, which takes some milliseconds. */
export const boardPollsWaitingMax = 256

// --- signed buyers (APP_BUYERS=signed) ---

/** Of a token. Those of identity providers have some 1,000; above it nothing is decoded. */
export const tokenLengthMax = 16_384
/** Verified tokens that one HTTP worker remembers, and their characters: each is kept whole, at a byte a character. */
export const tokensRememberedMax = 32_768
export const tokenCharsRememberedMax = 33_554_432
/**
 * Signatures that one HTTP worker has checked at a time: they wait for threads of libuv, and each takes in what one turn of the
 * event loop brought. Above it 503 at once.
 */
export const verificationsInFlightMax = 64
/**
 * Time that checking signatures may take of a core, for one HTTP worker, and how much of it may be saved up for a moment in
 * which many new buyers come: some 3,000 of RS256 then, and as many a second. Above it 503 at once.
 */
export const verificationMsPerSecondMax = 400
export const verificationBurstMs = 400
/** Of it for addresses that have sent too many bad signatures: a fiftieth of a core. */
export const suspectVerificationMsPerSecondMax = 20
export const suspectVerificationBurstMs = 20
/** Bad signatures of one address: who has a wrong key or a cut-off token repeats it a few times, a forger sends more. */
export const badSignaturesMax = 8
/** They are forgotten after this long at least, and twice as long at most. */
export const badSignatureWindowMs = 30_000
/** Addresses in each of the two generations that this is known of, at some 100 bytes each. */
export const badAddressesMax = 50_000
/** Keys that are tried for a token that names none, or whose keys have no names. */
export const keysTriedMax = 4
/** So often a key is tried when it comes, to know what a check costs: the least of it isn't disturbed by others. */
export const keyTrials = 8
/** Requests that wait until the keys were looked at again, because their tokens name an unknown one; above it 503 at once. */
export const keyWaitersMax = 256
/** Longest wait of them: a source that is asked over the network has answered, or been given up. */
export const keyWaitMsMax = 6_000
