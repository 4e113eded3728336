/**
 * The API of hotcakes, out of its GET /openapi.json. Written anew by: node ops/setup/run.mjs test/api-types/make.js
 */


export interface paths {
  "/checkout": {
    /**
     * Hold an item for a short time
     * @description The first rule that applies decides: no such item; its sale is over or not open yet; it is sold; this user holds it (the same code again); somebody else holds it; the user has as many as one user may; otherwise it is held. Repeating it is safe.
     */
    post: operations["checkout"];
  };
  "/purchase": {
    /**
     * Purchase the item that a code holds
     * @description Repeating it is safe: the same code is answered with the same purchase.
     */
    post: operations["purchase"];
  };
  "/release": {
    /**
     * Give the hold of a code back
     * @description The item is on sale again and the slot of its user free, in one step. Possible as long as the code can be purchased. Repeating it is safe: the same code is answered the same until somebody holds the item again; then it is unknown. It never ends another hold of the item.
     */
    post: operations["release"];
  };
  "/sale": {
    /**
     * The current sale
     * @description Its times and limits, and how many of its items are held, sold and available at the moment.
     */
    get: operations["currentSale"];
  };
  "/items": {
    /**
     * The items of a sale, in their order
     * @description With a state asked for, a page looks at a bounded number of items: it may be short, and `next` leads on. It is empty only if 10,000 were looked at, or `GET /sale` counts no item in that state.
     */
    get: operations["items"];
  };
  "/items/{id}": {
    /**
     * One item
     * @description Of any sale that Redis still has. It says neither who holds nor who has bought it.
     */
    get: operations["item"];
  };
  "/items/{id}/picture.svg": {
    /**
     * The picture of an item
     * @description The same at every server and for ever: it is drawn out of the id.
     */
    get: operations["itemPicture"];
  };
  "/sales": {
    /**
     * The sales there have been, newest first
     * @description The terms of each; `GET /sales/{id}` counts what became of one.
     */
    get: operations["sales"];
  };
  "/sales/{id}": {
    /**
     * What became of a sale
     * @description Counts come out of Redis as long as it has the sale, later out of Postgres. When it was sold out, and the verdict of the last audit, come out of Postgres.
     */
    get: operations["saleRecord"];
  };
  "/sales/{id}/curve": {
    /**
     * When the items of a sale were purchased
     * @description At most 256 points between the first purchase and the last. Of an open sale it is some seconds old.
     */
    get: operations["saleCurve"];
  };
  "/users/{user_id}/purchases": {
    /**
     * What a user has purchased, newest sale first
     * @description The codes are not in it. It may lag behind a purchase by a fraction of a second: with `wait` or `decision` it has it, or says that it has not.
     */
    get: operations["purchasesOfUser"];
  };
  "/purchases/{code}": {
    /**
     * The purchase that was made with a code
     * @description The same body again that the purchase was answered with. The code is the secret that opens it. One that is found is answered at once; `wait` and `decision` are for one that is not.
     */
    get: operations["purchaseByCode"];
  };
  "/readyz": {
    /**
     * Whether this server sells
     * @description Speaks for all workers, whichever answers: 200 means that each that takes connections sold at a moment after the request came in. It may take up to three seconds when one of them hangs.
     */
    get: operations["readiness"];
  };
  "/health": {
    /**
     * The same as /readyz
     * @description For what asks for this name.
     */
    get: operations["health"];
  };
  "/livez": {
    /**
     * Whether this process answers
     * @description Nothing else is looked at: a process that does not answer is to be restarted, one that does not sell is not.
     */
    get: operations["liveness"];
  };
}

export type webhooks = Record<string, never>;

export interface components {
  schemas: {
    /** @description Seconds since 1970 at which the sale opened, divided by the seconds between sales. */
    readonly SaleId: number;
    /** @description Sale and number of an item. Never used again for another item. */
    readonly ItemId: string;
    /** @description What a checkout answers, and what a purchase or a release takes. Whoever has it can purchase: keep it secret. */
    readonly HoldCode: string;
    /** @description Whoever buys. It is taken as it comes: who may use it is for what stands in front of this server. */
    readonly UserId: string;
    /** @description RFC 9457. Branch on `code`; `title` and `detail` are for people and may change. */
    readonly Problem: {
      /** Format: uri */
      readonly type: string;
      readonly title: string;
      readonly status: number;
      /** @enum {unknown} */
      readonly code: "invalid_request" | "route_unknown" | "method_not_allowed" | "item_unknown" | "sale_closed" | "sale_not_open" | "item_sold" | "item_held" | "user_limit_reached" | "code_unknown" | "code_expired" | "unauthorized" | "buyer_mismatch" | "no_buyer" | "code_of_another" | "item_purchased" | "rate_limited" | "sale_unknown" | "purchase_unknown" | "overloaded" | "backlog_full" | "unavailable" | "unrecorded" | "recovering" | "records_unavailable" | "record_behind" | "keys_unavailable" | "shutting_down";
      readonly detail: string;
      /**
       * Format: uri-reference
       * @description Where this server says what the code means, and what to do. Relative to the URI of the request.
       */
      readonly doc_url: string;
    };
    readonly Hold: {
      readonly code: components["schemas"]["HoldCode"];
      readonly item_id: components["schemas"]["ItemId"];
      readonly sale_id: components["schemas"]["SaleId"];
      /**
       * Format: date-time
       * @description When the hold ends.
       */
      readonly expires_at: string;
    };
    readonly Purchase: {
      /** @constant */
      readonly status: "purchased";
      readonly item_id: components["schemas"]["ItemId"];
      readonly sale_id: components["schemas"]["SaleId"];
      readonly user_id: components["schemas"]["UserId"];
      /**
       * Format: date-time
       * @description When it was decided; the same for each repetition.
       */
      readonly purchased_at: string;
    };
    readonly Release: {
      /** @constant */
      readonly status: "released";
      readonly item_id: components["schemas"]["ItemId"];
      readonly sale_id: components["schemas"]["SaleId"];
      readonly user_id: components["schemas"]["UserId"];
    };
    readonly Sale: {
      readonly id: components["schemas"]["SaleId"];
      /**
       * Format: date-time
       * @description When it opens.
       */
      readonly opens_at: string;
      /**
       * Format: date-time
       * @description When it closes and the next one opens. Its holds can be purchased until they expire.
       */
      readonly closes_at: string;
      /** @description How many items it has. */
      readonly items: number;
      /** @description Items that are held at the moment; may lag by a second. */
      readonly held: number;
      /** @description Items that are sold. */
      readonly sold: number;
      /** @description Items that are neither held nor sold; of the shards that could be asked. */
      readonly available: number;
      /** @description Live holds and purchases together that one user may have. */
      readonly user_limit: number;
      /** @description How long a checkout holds its item. */
      readonly hold_seconds: number;
      readonly first_item_id: components["schemas"]["ItemId"];
      readonly last_item_id: components["schemas"]["ItemId"];
      /** @description Shards that could not be asked: what they have is not in the answer, but in the number of items. Absent when all is there. */
      readonly missing_shards?: readonly number[];
    };
    readonly Item: {
      readonly id: components["schemas"]["ItemId"];
      readonly sale_id: components["schemas"]["SaleId"];
      /** @description Its number in the sale. */
      readonly index: number;
      readonly name: string;
      /** @description Path of its picture. */
      readonly picture: string;
      /** @enum {unknown} */
      readonly state: "available" | "held" | "sold";
      /**
       * Format: date-time
       * @description When its hold ends, unless it is purchased until then.
       */
      readonly hold_expires_at: string | null;
    };
    readonly ItemPage: {
      readonly sale_id: components["schemas"]["SaleId"];
      readonly items: readonly components["schemas"]["Item"][];
      /** @description Path of the next page; null after the last. */
      readonly next: string | null;
      /** @description Shards that could not be asked: what they have is not in the answer, but in the number of items. Absent when all is there. */
      readonly missing_shards?: readonly number[];
    };
    readonly SaleTerms: {
      readonly id: components["schemas"]["SaleId"];
      /** @enum {unknown} */
      readonly state: "upcoming" | "open" | "closed";
      /**
       * Format: date-time
       * @description When it opens.
       */
      readonly opens_at: string;
      /**
       * Format: date-time
       * @description When it closes.
       */
      readonly closes_at: string;
      /** @description How many items it has. */
      readonly items: number;
      /** @description Live holds and purchases together that one user may have. */
      readonly user_limit: number;
      /** @description How long a checkout holds its item. */
      readonly hold_seconds: number;
    };
    readonly SalePage: {
      readonly sales: readonly components["schemas"]["SaleTerms"][];
      /** @description Path of the next page; null after the last. */
      readonly next: string | null;
    };
    readonly SaleRecord: {
      readonly id: components["schemas"]["SaleId"];
      /** @enum {unknown} */
      readonly state: "upcoming" | "open" | "closed";
      /**
       * Format: date-time
       * @description When it opens.
       */
      readonly opens_at: string;
      /**
       * Format: date-time
       * @description When it closes.
       */
      readonly closes_at: string;
      /** @description How many items it has. */
      readonly items: number;
      /** @description Live holds and purchases together that one user may have. */
      readonly user_limit: number;
      /** @description How long a checkout holds its item. */
      readonly hold_seconds: number;
      /** @description Decided checkouts, purchases and releases, accepted or not. */
      readonly attempts: number;
      /** @description Checkouts that got an item. */
      readonly holds: number;
      /** @description Holds that were given back. */
      readonly releases: number;
      /** @description Items that were sold. */
      readonly purchases: number;
      /** @description Attempts that were answered as the first time. */
      readonly repeats: number;
      /** @description Code of the problem -> attempts that were answered with it. */
      readonly rejections: {
        [key: string]: number;
      };
      /**
       * Format: date-time
       * @description When the last item was sold.
       */
      readonly sold_out_at: string | null;
      /** @description The last audit that looked at it. */
      readonly audit: null | ({
        /** @enum {unknown} */
        readonly verdict: "passed" | "breached" | "incomplete";
        /**
         * Format: date-time
         * @description When it began.
         */
        readonly at: string;
        /** @description How far Postgres had the log. */
        readonly position: string;
      });
    };
    readonly SaleCurve: {
      readonly sale_id: components["schemas"]["SaleId"];
      readonly points: readonly {
          /**
           * Format: date-time
           * @description A moment.
           */
          readonly at: string;
          /** @description Items that had been purchased by then. */
          readonly sold: number;
        }[];
    };
    readonly PurchasePage: {
      readonly user_id: components["schemas"]["UserId"];
      readonly purchases: readonly {
          readonly item_id: components["schemas"]["ItemId"];
          readonly sale_id: components["schemas"]["SaleId"];
          /**
           * Format: date-time
           * @description When it was decided.
           */
          readonly purchased_at: string;
        }[];
      /** @description Path of the next page; null after the last. */
      readonly next: string | null;
    };
    readonly Live: {
      /** @constant */
      readonly status: "live";
    };
    readonly Readiness: {
      /**
       * @description degraded: it sells, and the record waits in Redis, or a worker, a shard or its replicas are missing.
       * @enum {unknown}
       */
      readonly status: "ready" | "degraded" | "not_ready";
      /** @description What it was judged by, each with a `status` in words: of the worker that is worst off. */
      readonly checks: {
        readonly server: {
          readonly status: string;
        };
        readonly redis: {
          readonly status: string;
        };
        readonly record: {
          readonly status: string;
        };
        /** @description As the persister finds it. away: no answer; refused: it takes no rows, and waiting will not help; locked: another session keeps them out. */
        readonly postgres: {
          /** @enum {unknown} */
          readonly status: "up" | "away" | "refused" | "locked" | "unknown";
          /** @description Code of the fault: docs/ERRORS.md. */
          readonly fault?: string;
          /** @description For people; without values, and absent where only the log may say it. */
          readonly reason?: string;
        };
        /** @description fault: entries are missing in it or can not be read, so nothing behind them gets into Postgres. */
        readonly log: {
          /** @enum {unknown} */
          readonly status: "ok" | "fault" | "backlog_full" | "memory_full" | "unknown";
          /** @description Code of the fault: docs/ERRORS.md. */
          readonly fault?: string;
          /** @description For people; without values, and absent where only the log may say it. */
          readonly reason?: string;
        };
        readonly sale: {
          readonly status: string;
        };
        readonly workers: {
          /**
           * @description missing: a worker is starting or being replaced, and takes no connections; not_ready, silent: one takes connections and does not sell, or does not answer; unknown: the primary did not answer in time.
           * @enum {unknown}
           */
          readonly status: "complete" | "missing" | "not_ready" | "silent" | "unknown";
          /** @description Workers that take connections and sell. */
          readonly ready?: number;
          /** @description Workers that there should be. */
          readonly of?: number;
        };
        /** @description Where sales are spread over several shards. The other checks are those of the shard that is worst off. */
        readonly shards?: {
          /**
           * @description missing: what belongs to some shards is not sold at the moment, the rest is; none: nothing is sold.
           * @enum {unknown}
           */
          readonly status: "complete" | "missing" | "none";
          /** @description Shards that sell. */
          readonly ready: number;
          /** @description All shards. */
          readonly of: number;
          /** @description Those that do not sell. Absent when each does. */
          readonly missing?: readonly number[];
          readonly each: readonly ({
              /** @description Its number. */
              readonly shard: number;
              /** @enum {unknown} */
              readonly status: "ready" | "degraded" | "not_ready";
              readonly redis: {
                readonly status: string;
              };
              readonly record: {
                readonly status: string;
              };
              /** @description As the persister finds it. away: no answer; refused: it takes no rows, and waiting will not help; locked: another session keeps them out. */
              readonly postgres: {
                /** @enum {unknown} */
                readonly status: "up" | "away" | "refused" | "locked" | "unknown";
                /** @description Code of the fault: docs/ERRORS.md. */
                readonly fault?: string;
                /** @description For people; without values, and absent where only the log may say it. */
                readonly reason?: string;
              };
              /** @description fault: entries are missing in it or can not be read, so nothing behind them gets into Postgres. */
              readonly log: {
                /** @enum {unknown} */
                readonly status: "ok" | "fault" | "backlog_full" | "memory_full" | "unknown";
                /** @description Code of the fault: docs/ERRORS.md. */
                readonly fault?: string;
                /** @description For people; without values, and absent where only the log may say it. */
                readonly reason?: string;
              };
              readonly sale: {
                readonly status: string;
              };
              /** @description Only with APP_ACK=replica. */
              readonly replicas?: {
                /**
                 * @description none: there are none, and answers leave at once; behind: the last answers were not confirmed.
                 * @enum {unknown}
                 */
                readonly status: "complete" | "none" | "behind" | "unknown";
                /** @description Replicas that answers wait for. */
                readonly awaited?: number;
              };
            })[];
        };
        /** @description Only with APP_ACK=replica. */
        readonly replicas?: {
          /**
           * @description none: there are none, and answers leave at once; behind: the last answers were not confirmed.
           * @enum {unknown}
           */
          readonly status: "complete" | "none" | "behind" | "unknown";
          /** @description Replicas that answers wait for. */
          readonly awaited?: number;
        };
        /** @description Only with APP_RECORD_DAYS. No status of the server follows from it. */
        readonly record_days?: {
          /**
           * @description over: the record has older days than it should; nothing removes them by itself.
           * @enum {unknown}
           */
          readonly status: "within" | "over";
          /** @description How many days ago the oldest day is that has attempts on record. */
          readonly days: number;
          /** @description APP_RECORD_DAYS. */
          readonly days_max: number;
        };
        /** @description Only with APP_BUYERS=signed. */
        readonly keys?: {
          /**
           * @description stale: where the keys come from is away, and they still count; expired: for so long that no token is taken.
           * @enum {unknown}
           */
          readonly status: "fresh" | "stale" | "expired";
          /** @description Keys that tokens are checked with. */
          readonly keys: number;
          /** @description Since when they were last seen there. */
          readonly age_seconds: number;
        };
      };
    };
  };
  responses: never;
  parameters: never;
  requestBodies: never;
  headers: {
    /**
     * @description Place of the decision in the log, `<epoch>-<entry>-<n>`: the order in which all attempts were decided. Ordered by its three numbers. Every shard has a log of its own; but for the first one, `<shard>:` stands before the place.
     * @example 1-4711-3
     */
    readonly Decision: string;
    /** @description Seconds to wait before the same request again. After a 503 between 1 and 3, varying, so that a crowd does not come back together. */
    readonly RetryAfter: number;
    /** @description Seconds: everything that was decided longer ago is in the answer. 0 where it comes from Redis; absent while that is not known. */
    readonly Lag: number;
    /** @description Place in the log, `<epoch>-<entry>`, up to which everything is in the answer. With several shards a list, one of each: but for the first one, `<shard>:` stands before the place. */
    readonly Position: string;
    /** @description For If-None-Match. */
    readonly ETag: string;
    /** @description What the address or buyer has left (draft-ietf-httpapi-ratelimit-headers). */
    readonly RateLimit: string;
    /** @description How many requests an address or a buyer may send (draft-ietf-httpapi-ratelimit-headers). */
    readonly RateLimitPolicy: string;
    /** @description What was wrong with the token (RFC 6750): never the token itself. */
    readonly Challenge: string;
  };
  pathItems: never;
}

export type $defs = Record<string, never>;

export type external = Record<string, never>;

export interface operations {

  /**
   * Hold an item for a short time
   * @description The first rule that applies decides: no such item; its sale is over or not open yet; it is sold; this user holds it (the same code again); somebody else holds it; the user has as many as one user may; otherwise it is held. Repeating it is safe.
   */
  checkout: {
    parameters: {
      query: {
        /**
         * @description Whoever buys; otherwise the buyer of the token.
         * @example me
         */
        user_id?: components["schemas"]["UserId"];
        /**
         * @description The item. `item_id` is another name of this parameter.
         * @example 1-1
         */
        id: components["schemas"]["ItemId"];
      };
    };
    responses: {
      /** @description The item is held, or was already held by this user. */
      200: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/json": components["schemas"]["Hold"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `unauthorized`: The request has no token that counts. */
      401: {
        headers: {
          readonly "WWW-Authenticate": components["headers"]["Challenge"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 401;
            /** @enum {unknown} */
            readonly code?: "unauthorized";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `no_buyer`: The token names no buyer.
       *
       * `buyer_mismatch`: The token is of another buyer.
       */
      403: {
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 403;
            /** @enum {unknown} */
            readonly code?: "no_buyer" | "buyer_mismatch";
          }) & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `item_unknown`: There is no such item.
       *
       * `sale_not_open`: The sale is not open yet.
       */
      404: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "item_unknown" | "sale_not_open";
          }) & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `item_sold`: The item is sold.
       *
       * `item_held`: Another user holds the item.
       *
       * `user_limit_reached`: The user has as many items as one user may.
       */
      409: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 409;
            /** @enum {unknown} */
            readonly code?: "item_sold" | "item_held" | "user_limit_reached";
          }) & components["schemas"]["Problem"];
        };
      };
      /** @description `sale_closed`: The sale is over. */
      410: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 410;
            /** @enum {unknown} */
            readonly code?: "sale_closed";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `backlog_full`: Nothing more can be put on record at the moment.
       *
       * `recovering`: The state of the sales is being checked or rebuilt.
       *
       * `unrecorded`: The record of the decision is not confirmed.
       *
       * `keys_unavailable`: Tokens cannot be checked at the moment.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "backlog_full" | "recovering" | "unrecorded" | "keys_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * Purchase the item that a code holds
   * @description Repeating it is safe: the same code is answered with the same purchase.
   */
  purchase: {
    parameters: {
      query: {
        /** @description What the checkout answered. */
        code: components["schemas"]["HoldCode"];
      };
    };
    responses: {
      /** @description The item is purchased, or was already with this code. */
      200: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/json": components["schemas"]["Purchase"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `unauthorized`: The request has no token that counts. */
      401: {
        headers: {
          readonly "WWW-Authenticate": components["headers"]["Challenge"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 401;
            /** @enum {unknown} */
            readonly code?: "unauthorized";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `code_of_another`: The code is of another user.
       *
       * `no_buyer`: The token names no buyer.
       */
      403: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 403;
            /** @enum {unknown} */
            readonly code?: "code_of_another" | "no_buyer";
          }) & components["schemas"]["Problem"];
        };
      };
      /** @description `code_unknown`: There is no such code. */
      404: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "code_unknown";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `code_expired`: The hold of the code has expired. */
      410: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 410;
            /** @enum {unknown} */
            readonly code?: "code_expired";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `backlog_full`: Nothing more can be put on record at the moment.
       *
       * `recovering`: The state of the sales is being checked or rebuilt.
       *
       * `unrecorded`: The record of the decision is not confirmed.
       *
       * `keys_unavailable`: Tokens cannot be checked at the moment.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "backlog_full" | "recovering" | "unrecorded" | "keys_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * Give the hold of a code back
   * @description The item is on sale again and the slot of its user free, in one step. Possible as long as the code can be purchased. Repeating it is safe: the same code is answered the same until somebody holds the item again; then it is unknown. It never ends another hold of the item.
   */
  release: {
    parameters: {
      query: {
        /** @description What the checkout answered. */
        code: components["schemas"]["HoldCode"];
      };
    };
    responses: {
      /** @description The hold is given back, or was already with this code. */
      200: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/json": components["schemas"]["Release"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `unauthorized`: The request has no token that counts. */
      401: {
        headers: {
          readonly "WWW-Authenticate": components["headers"]["Challenge"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 401;
            /** @enum {unknown} */
            readonly code?: "unauthorized";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `code_of_another`: The code is of another user.
       *
       * `no_buyer`: The token names no buyer.
       */
      403: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 403;
            /** @enum {unknown} */
            readonly code?: "code_of_another" | "no_buyer";
          }) & components["schemas"]["Problem"];
        };
      };
      /** @description `code_unknown`: There is no such code. */
      404: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "code_unknown";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `item_purchased`: The item is purchased with this code. */
      409: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 409;
            /** @enum {unknown} */
            readonly code?: "item_purchased";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `code_expired`: The hold of the code has expired. */
      410: {
        headers: {
          readonly "Hotcakes-Decision": components["headers"]["Decision"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 410;
            /** @enum {unknown} */
            readonly code?: "code_expired";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `backlog_full`: Nothing more can be put on record at the moment.
       *
       * `recovering`: The state of the sales is being checked or rebuilt.
       *
       * `unrecorded`: The record of the decision is not confirmed.
       *
       * `keys_unavailable`: Tokens cannot be checked at the moment.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "backlog_full" | "recovering" | "unrecorded" | "keys_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * The current sale
   * @description Its times and limits, and how many of its items are held, sold and available at the moment.
   */
  currentSale: {
    responses: {
      /** @description The sale that is open now. */
      200: {
        content: {
          readonly "application/json": components["schemas"]["Sale"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `recovering`: The state of the sales is being checked or rebuilt.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "recovering";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * The items of a sale, in their order
   * @description With a state asked for, a page looks at a bounded number of items: it may be short, and `next` leads on. It is empty only if 10,000 were looked at, or `GET /sale` counts no item in that state.
   */
  items: {
    parameters: {
      query?: {
        /** @description Whose items; otherwise the current sale. */
        sale?: number;
        /** @description Only items in this state; otherwise all. */
        state?: "available" | "held" | "sold";
        /** @description Number of the item that the page comes after. */
        after?: number;
        /** @description How many a page may have. */
        limit?: number;
      };
    };
    responses: {
      /** @description A page of items. */
      200: {
        content: {
          readonly "application/json": components["schemas"]["ItemPage"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `sale_unknown`: There is no such sale. */
      404: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "sale_unknown";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `recovering`: The state of the sales is being checked or rebuilt.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "recovering";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * One item
   * @description Of any sale that Redis still has. It says neither who holds nor who has bought it.
   */
  item: {
    parameters: {
      path: {
        /**
         * @description The item.
         * @example 1-1
         */
        id: components["schemas"]["ItemId"];
      };
    };
    responses: {
      /** @description The item as it is now. */
      200: {
        content: {
          readonly "application/json": components["schemas"]["Item"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `sale_unknown`: There is no such sale.
       *
       * `item_unknown`: There is no such item.
       */
      404: {
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "sale_unknown" | "item_unknown";
          }) & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `recovering`: The state of the sales is being checked or rebuilt.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "recovering";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * The picture of an item
   * @description The same at every server and for ever: it is drawn out of the id.
   */
  itemPicture: {
    parameters: {
      header?: {
        /** @description The `ETag` of the picture that the client has. */
        "If-None-Match"?: string;
      };
      path: {
        /**
         * @description The item.
         * @example 1-1
         */
        id: components["schemas"]["ItemId"];
      };
    };
    responses: {
      /** @description The picture. */
      200: {
        headers: {
          readonly ETag: components["headers"]["ETag"];
        };
        content: {
          readonly "image/svg+xml": string;
        };
      };
      /** @description It is the one that the client has. */
      304: {
        headers: {
          readonly ETag: components["headers"]["ETag"];
        };
        content: never;
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `shutting_down`: The server is shutting down.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "shutting_down";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * The sales there have been, newest first
   * @description The terms of each; `GET /sales/{id}` counts what became of one.
   */
  sales: {
    parameters: {
      query?: {
        /** @description Id of the sale that the page comes after. */
        after?: number;
        /** @description How many a page may have. */
        limit?: number;
      };
    };
    responses: {
      /** @description A page of sales. */
      200: {
        headers: {
          readonly "Hotcakes-Lag": components["headers"]["Lag"];
          readonly "Hotcakes-Position": components["headers"]["Position"];
        };
        content: {
          readonly "application/json": components["schemas"]["SalePage"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `records_unavailable`: The records cannot be read.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "records_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * What became of a sale
   * @description Counts come out of Redis as long as it has the sale, later out of Postgres. When it was sold out, and the verdict of the last audit, come out of Postgres.
   */
  saleRecord: {
    parameters: {
      path: {
        /**
         * @description The sale.
         * @example 1
         */
        id: components["schemas"]["SaleId"];
      };
    };
    responses: {
      /** @description The sale with its counts. */
      200: {
        headers: {
          readonly "Hotcakes-Lag": components["headers"]["Lag"];
          readonly "Hotcakes-Position": components["headers"]["Position"];
        };
        content: {
          readonly "application/json": components["schemas"]["SaleRecord"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `sale_unknown`: There is no such sale. */
      404: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "sale_unknown";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `records_unavailable`: The records cannot be read.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "records_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * When the items of a sale were purchased
   * @description At most 256 points between the first purchase and the last. Of an open sale it is some seconds old.
   */
  saleCurve: {
    parameters: {
      path: {
        /**
         * @description The sale.
         * @example 1
         */
        id: components["schemas"]["SaleId"];
      };
    };
    responses: {
      /** @description The curve of its purchases. */
      200: {
        headers: {
          readonly "Hotcakes-Lag": components["headers"]["Lag"];
          readonly "Hotcakes-Position": components["headers"]["Position"];
        };
        content: {
          readonly "application/json": components["schemas"]["SaleCurve"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `sale_unknown`: There is no such sale. */
      404: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "sale_unknown";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `records_unavailable`: The records cannot be read.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "records_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * What a user has purchased, newest sale first
   * @description The codes are not in it. It may lag behind a purchase by a fraction of a second: with `wait` or `decision` it has it, or says that it has not.
   */
  purchasesOfUser: {
    parameters: {
      query?: {
        /** @description The item that the page comes after. */
        after?: components["schemas"]["ItemId"];
        /** @description How many a page may have. */
        limit?: number;
        /** @description Milliseconds that the answer may wait until the record has all that was decided when the request came, or the `decision`. Not reached in time, or a place that the log has not come to: 503 `record_behind`. */
        wait?: number;
        /** @description What `Hotcakes-Decision` said of an attempt: the record has to have come that far. Without `wait` it is not waited for. */
        decision?: string;
      };
      path: {
        /**
         * @description Whose purchases.
         * @example me
         */
        user_id: components["schemas"]["UserId"];
      };
    };
    responses: {
      /** @description A page of purchases. */
      200: {
        headers: {
          readonly "Hotcakes-Lag": components["headers"]["Lag"];
          readonly "Hotcakes-Position": components["headers"]["Position"];
        };
        content: {
          readonly "application/json": components["schemas"]["PurchasePage"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `unauthorized`: The request has no token that counts. */
      401: {
        headers: {
          readonly "WWW-Authenticate": components["headers"]["Challenge"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 401;
            /** @enum {unknown} */
            readonly code?: "unauthorized";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `no_buyer`: The token names no buyer.
       *
       * `buyer_mismatch`: The token is of another buyer.
       */
      403: {
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 403;
            /** @enum {unknown} */
            readonly code?: "no_buyer" | "buyer_mismatch";
          }) & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `records_unavailable`: The records cannot be read.
       *
       * `record_behind`: The record does not have it yet.
       *
       * `keys_unavailable`: Tokens cannot be checked at the moment.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "records_unavailable" | "record_behind" | "keys_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * The purchase that was made with a code
   * @description The same body again that the purchase was answered with. The code is the secret that opens it. One that is found is answered at once; `wait` and `decision` are for one that is not.
   */
  purchaseByCode: {
    parameters: {
      query?: {
        /** @description Milliseconds that the answer may wait until the record has all that was decided when the request came, or the `decision`. Not reached in time, or a place that the log has not come to: 503 `record_behind`. */
        wait?: number;
        /** @description What `Hotcakes-Decision` said of an attempt: the record has to have come that far. Without `wait` it is not waited for. */
        decision?: string;
      };
      path: {
        /** @description The code that the purchase was made with. */
        code: components["schemas"]["HoldCode"];
      };
    };
    responses: {
      /** @description The answer that the purchase had. */
      200: {
        headers: {
          readonly "Hotcakes-Lag": components["headers"]["Lag"];
          readonly "Hotcakes-Position": components["headers"]["Position"];
        };
        content: {
          readonly "application/json": components["schemas"]["Purchase"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `unauthorized`: The request has no token that counts. */
      401: {
        headers: {
          readonly "WWW-Authenticate": components["headers"]["Challenge"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 401;
            /** @enum {unknown} */
            readonly code?: "unauthorized";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `no_buyer`: The token names no buyer. */
      403: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 403;
            /** @enum {unknown} */
            readonly code?: "no_buyer";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `purchase_unknown`: There is no such purchase. */
      404: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 404;
            /** @enum {unknown} */
            readonly code?: "purchase_unknown";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description `rate_limited`: Too many requests came from this address or buyer. */
      429: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
          readonly RateLimit: components["headers"]["RateLimit"];
          readonly "RateLimit-Policy": components["headers"]["RateLimitPolicy"];
        };
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 429;
            /** @enum {unknown} */
            readonly code?: "rate_limited";
          } & components["schemas"]["Problem"];
        };
      };
      /**
       * @description `overloaded`: Too many requests are waiting.
       *
       * `unavailable`: The outcome is not known.
       *
       * `shutting_down`: The server is shutting down.
       *
       * `records_unavailable`: The records cannot be read.
       *
       * `record_behind`: The record does not have it yet.
       *
       * `keys_unavailable`: Tokens cannot be checked at the moment.
       */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/problem+json": ({
            /** @constant */
            readonly status?: 503;
            /** @enum {unknown} */
            readonly code?: "overloaded" | "unavailable" | "shutting_down" | "records_unavailable" | "record_behind" | "keys_unavailable";
          }) & components["schemas"]["Problem"];
        };
      };
    };
  };
  /**
   * Whether this server sells
   * @description Speaks for all workers, whichever answers: 200 means that each that takes connections sold at a moment after the request came in. It may take up to three seconds when one of them hangs.
   */
  readiness: {
    responses: {
      /** @description It sells. */
      200: {
        content: {
          readonly "application/json": components["schemas"]["Readiness"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description It does not sell. */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/json": components["schemas"]["Readiness"];
        };
      };
    };
  };
  /**
   * The same as /readyz
   * @description For what asks for this name.
   */
  health: {
    responses: {
      /** @description It sells. */
      200: {
        content: {
          readonly "application/json": components["schemas"]["Readiness"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
      /** @description It does not sell. */
      503: {
        headers: {
          readonly "Retry-After": components["headers"]["RetryAfter"];
        };
        content: {
          readonly "application/json": components["schemas"]["Readiness"];
        };
      };
    };
  };
  /**
   * Whether this process answers
   * @description Nothing else is looked at: a process that does not answer is to be restarted, one that does not sell is not.
   */
  liveness: {
    responses: {
      /** @description It does. */
      200: {
        content: {
          readonly "application/json": components["schemas"]["Live"];
        };
      };
      /** @description `invalid_request`: The request is malformed. */
      400: {
        content: {
          readonly "application/problem+json": {
            /** @constant */
            readonly status?: 400;
            /** @enum {unknown} */
            readonly code?: "invalid_request";
          } & components["schemas"]["Problem"];
        };
      };
    };
  };
}
