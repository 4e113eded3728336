#!lua name=@LIBRARY@
--[[
What all functions of hotcakes share: the keys, the layouts of what is stored under them, and who may decide.

Redis takes a library as one source. library-source.ts joins the files in an order, so that each
may use what the files before it define. It replaces @LIBRARY@ by a name that carries the digest of
the whole, so two versions can serve side by side during a rolling upgrade. Redis' errors name a line of the joined
source; library-source.ts turns that into the file and its own line.

KEYS of every function: 1 the hash of sales, 2 the log (a stream). Both carry the hash tag of the shard; all other
keys are built from the prefix of KEYS[1] and sale numbers found *in* that hash, never from what a client sent.

  <prefix>sales               hash    <sale> -> opens_ms,closes_ms,items,limit,hold_ms,expire_at_s; of a sale of several
                                      shards opens_ms,closes_ms,items,limit,hold_ms,shards,expire_at_s
                                      watched_since, watched_until -> ms of the Unix epoch, while sales are watched
                                      interval -> ms between sales:ms of the Unix epoch until which some server keeps it;
                                      shards -> the same for the number of shards of the sales to come
                                      oldest:<shard> -> the epoch of that shard before which nothing that it said counts
                                      mark -> 1; only here and in replicas, not in the append-only file: see mark.lua
                                      held:<sale> -> 1,expire_at_s: items, users and counts of that sale of several shards are
                                      here since its first hold, and have to be
                                      drop_cursor -> where the next opening goes on to look for sales that have expired
                                      epoch -> integer; run -> run_id; record -> uuid: see "Who may decide"
                                      history -> epoch:master_replid of the run that the epoch began with, at that moment
                                      rebuild -> token of the rebuild that may write: see admission.lua
  <prefix>log                 stream  ids <epoch>-<seq>, seq without gaps; b,r: a decided batch and its results;
                                      o: an opened sale, msgpack [sale, opens_ms, closes_ms, items, limit, hold_ms, now_ms]
                                      and, of several shards, their number
  <prefix>sale:<sale>:items   hash    index -> the item's entry
  <prefix>sale:<sale>:users   hash    user -> the user's entry
  <prefix>sale:<sale>:counts  hash    outcome code -> how often it was decided
  <prefix>sale:<sale>:holds   hash    second of expiry -> holds not purchased or released that expire in it
  <prefix>sale:<sale>:lapsed  set     nonces of holds that expired and whose item was taken over since
  <prefix>sale:<sale>:changes string  while sales are watched: index * 2 (+ 1: sold, else held) of each change, 4 bytes each; a
                                      release is the item as sold and at once as held, which nothing else is
  <prefix>counts:unlisted     hash    outcome code -> count, for commands that named a sale not in the hash of sales
  <prefix>persister           hash    what the persister last said of itself: see persister-state.ts
Keys of a sale expire at its expire_at_s.

Layouts, by the places of bytes, from 1. Numbers are big-endian; times are ms since the sale opened. item-entry.ts and
user-entry.ts read and write the same.
  item entry   1 state: h held, s sold; 2-17 nonce; 18-21 time: expiry of the hold or moment of the purchase; 22- user
               A hold that was released expires at 0, which no other does: whatever Redis' clock says, it is over.
  user entry   1-2 purchases; then 4 bytes each: the expiries of the user's holds, first to expire first.
               Purchases and holds together are never more than the limit: a hold that was cut off to make room has
               expired for good, whatever Redis' clock says later.
               A sale of several shards adds the user's rights: see rights.lua.

Who may decide. `run` names the run (INFO's run_id) of Redis whose state was compared with Postgres and found whole. It is
data, so a Redis that was emptied, restored or promoted holds none or another one than its own. `decide` and `open` come
with the run of the process that their connection leads to, and are refused with HCRUN when it is not the admitted one,
with HCEPOCH when there is no epoch. `record` is the identity of the record in Postgres that this Redis belongs to.
]]

-- While a library is loaded there are no globals but redis.register_function: these are bound by the first call.
local call, pack, unpack_message, struct_pack, struct_unpack
local sub, byte, char, rep, match, format, floor, concat, unpack_list, to_number, type_of, sha1hex

local function bind()
  if call then return end
  call, pack, unpack_message = redis.call, cmsgpack.pack, cmsgpack.unpack
  struct_pack, struct_unpack = struct.pack, struct.unpack
  sub, byte, char, rep = string.sub, string.byte, string.char, string.rep
  match, format, floor = string.match, string.format, math.floor
  concat, unpack_list, to_number, type_of, sha1hex = table.concat, unpack, tonumber, type, redis.sha1hex
end

local HELD, HELD_AGAIN, ITEM_UNKNOWN, SALE_CLOSED, SALE_NOT_OPEN = 1, 2, 3, 4, 5
local ITEM_SOLD, ITEM_HELD, USER_LIMIT_REACHED, SALE_GONE, SALE_UNLISTED = 6, 7, 8, 9, 10
local RELEASED, RELEASED_AGAIN, RELEASE_SOLD, RELEASE_UNKNOWN, RELEASE_EXPIRED = 11, 12, 13, 14, 15
local RELEASE_UNLISTED, RELEASE_OF_ANOTHER = 16, 17
local PURCHASED, PURCHASED_AGAIN, CODE_UNKNOWN, CODE_EXPIRED, CODE_UNLISTED, CODE_OF_ANOTHER = 21, 22, 23, 24, 25, 26
local LENT, RECEIVED = 31, 32
local NOT_LENT, MISPLACED, RIGHTS_ELSEWHERE, NOT_LISTED = 41, 42, 43, 44

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

local function prefix_of(keys)
  return sub(keys[1], 1, -6) -- without 'sales'
end

-- The shard whose keys these are.
local function shard_of(keys)
  return to_number(match(keys[1], ':(%d+)}'))
end

-- Of the newest entry ever written; '0-0' where there was none.
local function last_id(log)
  if call('EXISTS', log) == 0 then return '0-0' end
  local info = call('XINFO', 'STREAM', log)
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then return info[at + 1] end
  end
end

-- From opens_ms, closes_ms, items, limit, hold_ms and ttl_s, the arguments from `first` on. The keys expire ttl_s after the
-- last hold, or at expire_at, as another shard that lists the sale has it.
local function terms_field(args, first, shards, expire_at)
  local opens, closes, items, limit, hold, ttl = unpack_list(args, first, first + 5)
  if not expire_at or expire_at == '' then expire_at = math.ceil((closes + hold) / 1000) + ttl end
  if to_number(shards or 1) == 1 then
    return format('%d,%d,%d,%d,%d,%d', opens, closes, items, limit, hold, expire_at)
  end
  return format('%d,%d,%d,%d,%d,%d,%d', opens, closes, items, limit, hold, shards, expire_at)
end

-- opens, closes, items, limit, hold, shards (1 or more), expire_at. All but the last two as texts.
local function parse_terms(field)
  local opens, closes, items, limit, hold, expire_at = match(field, '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$')
  if opens then return opens, closes, items, limit, hold, 1, expire_at end
  local shards
  opens, closes, items, limit, hold, shards, expire_at = match(field, '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$')
  return opens, closes, items, limit, hold, to_number(shards), expire_at
end

-- Why a caller that is connected to `run` gets no decision; nil when it gets one.
local function refusal(epoch, admitted, run)
  if not epoch then return redis.error_reply('HCEPOCH Redis was emptied or fenced off, and nobody has rebuilt it yet') end
  if admitted ~= run then return redis.error_reply('HCRUN this run of Redis was not compared with Postgres yet') end
end
