#!lua name=@LIBRARY@
--[[
The decisions of hotcakes, and their log, in one atomic step. Loaded under a name that carries the digest of this
file (@LIBRARY@ is replaced by it), so that two versions can serve side by side during a rolling upgrade.

KEYS of every function: 1 the hash of sales, 2 the log (a stream). Both carry the hash tag of the shard; all other
keys are built from the prefix of KEYS[1] and sale numbers found *in* that hash, never from what a client sent.

  <prefix>sales               hash    <sale> -> opens_ms,closes_ms,items,limit,hold_ms,expire_at_s
                                      watched_since, watched_until -> ms of the Unix epoch, while sales are watched
                                      interval -> ms between sales:ms of the Unix epoch until which some server keeps it
                                      drop_cursor -> where the next opening goes on to look for sales that have expired
                                      epoch -> integer; run -> run_id; record -> uuid; rebuild -> token: see "Who may decide"
  <prefix>log                 stream  ids <epoch>-<seq>, seq without gaps; b,r: a decided batch and its results;
                                      o: an opened sale, msgpack [sale, opens_ms, closes_ms, items, limit, hold_ms, now_ms]
  <prefix>sale:<sale>:items   hash    index -> state(1: h held, s sold) nonce(16) time(4) user
                                      time: expiry of the hold or moment of the purchase
  <prefix>sale:<sale>:users   hash    user -> purchases(2), then the expiry(4) of each of the user's holds, first to expire first.
                                      Purchases and holds together are never more than the limit: a hold that was
                                      cut off to make room has expired for good, whatever Redis' clock says later
  <prefix>sale:<sale>:counts  hash    outcome code -> how often it was decided
  <prefix>sale:<sale>:holds   hash    second of expiry -> holds not purchased that expire in it
  <prefix>sale:<sale>:lapsed  set     nonces of holds that expired and whose item was taken over since
  <prefix>sale:<sale>:changes string  while sales are watched: index * 2 (+ 1: sold, else held) of each change, 4 bytes each
  <prefix>counts:unlisted     hash    outcome code -> count, for commands that named a sale not in the hash of sales
Numbers inside records are big-endian; times are ms since the sale opened. Keys of a sale expire at its expire_at_s.

Who may decide: `run` names the run (INFO's run_id) of Redis whose state was compared with Postgres and found whole. It is
data, so a Redis that was emptied, restored or promoted holds none or another one than its own. `decide` and `open` come
with the run of the process that their connection leads to, and are refused with HCRUN when it is not the admitted one,
with HCEPOCH when there is no epoch. `record` is the identity of the Postgres that keeps the record.

decide ARGV: 1 a batch, msgpack: [1, interval_ms, (sale, index, nonce, user)*]; user '' is a purchase, else a checkout; 2 run.
  Returns {results, id}; results, msgpack: [now_ms, (outcome, details...)*] in the order of the commands.
  outcome  name                details             (the sale that counts it: the listed one, or none where marked -)
    1      held                hold_ms
    2      held_again          nonce expires_in_ms
    3      item_unknown
    4      sale_closed
    5      sale_not_open
    6      item_sold
    7      item_held           expires_in_ms
    8      user_limit_reached
    9      sale_gone                               -
    10     sale_unlisted                           -
    21     purchased           user
    22     purchased_again     user purchased_ago_ms
    23     code_unknown
    24     code_expired
    25     code_unlisted                           -
open ARGV: sale, opens_ms, closes_ms, items, limit, hold_ms, ttl_s, run. Idempotent: a listed sale stays as it is.
  Returns {sale's field, 1 if this call opened it else 0, now_ms}. Drops some of the sales whose keys have expired.
claim_epoch ARGV: epoch (at least 1), run, record. Where nothing is yet, begins the epoch and admits the run. Returns the
  epoch in force.
admit ARGV: epoch, run, record. Admits the run, unless the epoch is another one or the record is: then HCEPOCH.
fence ARGV: epoch. Takes the epoch and the admitted run away, if that is the epoch in force: nothing is decided from here.
rebuild_begin ARGV: token, record. Drops everything but the functions; from here only this token may write. A token that
  a later one has replaced is refused with HCREBUILD, by all of these.
rebuild_sale ARGV: token, sale, opens_ms, closes_ms, items, limit, hold_ms, ttl_s. Lists a sale, with nothing in it.
rebuild_put ARGV: token, sale, items | users | counts | holds | lapsed, then fields and values (of lapsed: nonces).
rebuild_end ARGV: token, epoch, run. Begins the epoch and admits the run.
keep_interval ARGV: interval_ms, lease_ms. Keeps the interval between sales for so long, unless another one is kept.
  Returns the interval that is kept.
sale_state ARGV: sale. Returns {sale's field or false, sold, held, now_ms}.
watch ARGV: sale, since, offset, bytes. Has the changes of all sales noted for the next seconds. Returns {sale's field or
  false, now_ms, since, end, changes}: the changes noted from the offset on, at most so many bytes, and how many there are.
  With another `since` than given the changes are not those that follow: read all items, then go on from `end`.
log_state: Returns {now_ms, entries, last id, ms when the oldest entry was decided or false, persister's hash (flat),
  {epoch or false, admitted run or false, record or false}}.
item_records ARGV: sale, first index, count (at most 8,000). Returns {sale's field or false, now_ms, records}: of each index
  its record, or false where nobody touched the item.
sale_counts ARGV: sale. Returns {sale's field or false, counts (flat)}.
missing_rights: Returns the names of the commands in this file that the caller may not use on these keys.
audit_sale ARGV: sale. Returns {now_ms, last id, field, items, users, counts} (the last three flat lists), one moment.

A script that fails is not rolled back: decide takes every decision before its first write.
One file, although a long one: Redis takes a library as one source, and all its functions share these records.
]]

-- While a library is loaded there are no globals but redis.register_function: these are bound by the first call.
local call, pack, unpack_message, struct_pack, struct_unpack
local sub, byte, match, format, floor, unpack_list, to_number, type_of

local function bind()
  if call then return end
  call, pack, unpack_message = redis.call, cmsgpack.pack, cmsgpack.unpack
  struct_pack, struct_unpack = struct.pack, struct.unpack
  sub, byte, match, format, floor = string.sub, string.byte, string.match, string.format, math.floor
  unpack_list, to_number, type_of = unpack, tonumber, type
end

local HELD, HELD_AGAIN, ITEM_UNKNOWN, SALE_CLOSED, SALE_NOT_OPEN = 1, 2, 3, 4, 5
local ITEM_SOLD, ITEM_HELD, USER_LIMIT_REACHED, SALE_GONE, SALE_UNLISTED = 6, 7, 8, 9, 10
local PURCHASED, PURCHASED_AGAIN, CODE_UNKNOWN, CODE_EXPIRED, CODE_UNLISTED = 21, 22, 23, 24, 25

local BATCH_VERSION = 1
local FIRST, FIELDS = 3, 4 -- of the commands in a batch
local SOLD = 115 -- 's'
local NO_HOLDS = '\0\0'
local DROP_SCAN = 200 -- of the list of sales, at each opening: one is added
local WATCH_MS = 10000 -- changes are noted for so long after somebody watched
local CHANGES_BYTES_MAX = 4194304 -- of one sale: then its watchers have to read all items again

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

local function prefix_of(keys)
  return sub(keys[1], 1, -6) -- without 'sales'
end

-- The working copy of a listed sale for the length of one batch, without the time: see set_time.
-- What Redis holds is in arrays, one entry for each command of the sale in their order; what this batch changed is in
-- maps that go before them, and in flat lists for the one HSET at the end (where a later value of a field wins).
-- Arrays because filling a map costs Lua more than everything else that a command needs.
local function listed_sale(prefix, sale, field)
  local opens, closes, items, limit, hold, expire_at = match(field, '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$')
  return {
    key = prefix .. 'sale:' .. format('%d', sale) .. ':', expire_at = expire_at,
    opens = to_number(opens), closes = to_number(closes), open = false, closed = false,
    items_max = to_number(items), limit = to_number(limit), hold = to_number(hold),
    now = 0, now4 = '', expiry = 0, expiry4 = '',
    at = 0, indexes = {}, items = {}, holders = {}, users = {},
    item_changed = {}, item_writes = {}, user_changed = {}, user_writes = {}, writes = 0,
    counts = {}, held = 0, unheld = {}, lapsed = {}, lapsed_list = {},
  }
end

-- Reads the items and then the users that the batch touches: two calls a sale, whatever the batch's size.
local function fetch_all(batch, sales)
  for at = FIRST, #batch, FIELDS do
    local sale = sales[batch[at]]
    if sale then
      sale.at = sale.at + 1
      sale.indexes[sale.at] = batch[at + 1]
    end
  end
  for _, sale in pairs(sales) do
    if sale then
      sale.items = call('HMGET', sale.key .. 'items', unpack_list(sale.indexes))
      sale.at = 0
    end
  end
  for at = FIRST, #batch, FIELDS do
    local sale = sales[batch[at]]
    if sale then
      local n = sale.at + 1
      sale.at = n
      local user = batch[at + 3]
      if user == '' and sale.items[n] then user = sub(sale.items[n], 22) end
      sale.holders[n] = user
    end
  end
  for _, sale in pairs(sales) do
    if sale then
      sale.users = call('HMGET', sale.key .. 'users', unpack_list(sale.holders))
      sale.at = 0
    end
  end
end

-- Times inside records can't be before the sale's opening. So for a batch that names an item which somebody has held, of a
-- sale that is not open (any more: Redis' clock has stepped back), time stands still at the opening.
local function not_before_openings(sales, now)
  for _, sale in pairs(sales) do
    if sale and sale.opens > now then
      for at = 1, #sale.indexes do
        if sale.items[at] then
          now = sale.opens
          break
        end
      end
    end
  end
  return now
end

-- `now` is the time inside records.
local function set_time(sales, now)
  for _, sale in pairs(sales) do
    if sale then
      local since = now - sale.opens
      if since < 0 then since = 0 end
      sale.open, sale.closed, sale.now, sale.expiry = now >= sale.opens, now >= sale.closes, since, since + sale.hold
      sale.now4, sale.expiry4 = struct_pack('>I4', since), struct_pack('>I4', since + sale.hold)
    end
  end
end

-- The user's record without the holds that have expired. They are in order of expiry, so those are a prefix.
local function without_expired(record, now)
  local at = 3
  while at < #record and struct_unpack('>I4', record, at) <= now do at = at + 4 end
  return at == 3 and record or sub(record, 1, 2) .. sub(record, at)
end

-- The user's record with one hold more. Unless Redis' clock has stepped back it is the last one to expire.
local function with_hold(record, expiry, expiry4)
  local at = #record - 3
  if at < 3 or struct_unpack('>I4', record, at) <= expiry then return record .. expiry4 end
  repeat at = at - 4 until at < 3 or struct_unpack('>I4', record, at) <= expiry
  return sub(record, 1, at + 3) .. expiry4 .. sub(record, at + 4)
end

-- Where the hold of an item stands in its holder's record. nil: it was cut off, and may be alive only because Redis' clock
-- has stepped back since. (Of two holds with the same expiry either may be it: they take one slot each.)
local function find_hold(record, item)
  local expiry4 = sub(item, 18, 21)
  for at = 3, #record, 4 do
    if sub(record, at, at + 3) == expiry4 then return at end
  end
end

-- The user's record with the hold at that place purchased.
local function with_purchase(record, at)
  return struct_pack('>I2', struct_unpack('>I2', record, 1) + 1) .. sub(record, 3, at - 1) .. sub(record, at + 4)
end

local function slots_taken(record)
  local high, low = byte(record, 1, 2)
  return high * 256 + low + (#record - 2) / 4
end

local function change(sale, index, item, user, record)
  local n = sale.writes
  sale.item_changed[index], sale.user_changed[user] = item, record
  sale.item_writes[n + 1], sale.item_writes[n + 2] = index, item
  sale.user_writes[n + 1], sale.user_writes[n + 2] = user, record
  sale.writes = n + 2
end

local function checkout(sale, index, nonce, user)
  local number = to_number(index)
  if number < 1 or number > sale.items_max then return ITEM_UNKNOWN end
  if sale.closed then return SALE_CLOSED end
  if not sale.open then return SALE_NOT_OPEN end

  local at, now = sale.at, sale.now
  local item = sale.item_changed[index] or sale.items[at]
  if item then
    if byte(item) == SOLD then return ITEM_SOLD end
    local expiry = struct_unpack('>I4', item, 18)
    if expiry > now then
      if sub(item, 22) ~= user then return ITEM_HELD, expiry - now end
      if find_hold(sale.user_changed[user] or sale.users[at] or NO_HOLDS, item) then
        return HELD_AGAIN, sub(item, 2, 17), expiry - now
      end
    end
  end

  local record = sale.user_changed[user] or sale.users[at] or NO_HOLDS
  if slots_taken(record) >= sale.limit then
    record = without_expired(record, now)
    if slots_taken(record) >= sale.limit then return USER_LIMIT_REACHED end
  end

  if item then -- an expired hold is taken over: its code was real, and must be told from one that never was
    local old = sub(item, 2, 17)
    sale.lapsed[old] = true
    sale.lapsed_list[#sale.lapsed_list + 1] = old
  end
  change(sale, index, 'h' .. nonce .. sale.expiry4 .. user, user, with_hold(record, sale.expiry, sale.expiry4))
  sale.held = sale.held + 1
  return HELD, sale.hold
end

local function purchase(sale, index, nonce)
  local at = sale.at
  local item = sale.item_changed[index] or sale.items[at]
  if not item then return CODE_UNKNOWN end
  if sub(item, 2, 17) ~= nonce then
    if sale.lapsed[nonce] or call('SISMEMBER', sale.key .. 'lapsed', nonce) == 1 then return CODE_EXPIRED end
    return CODE_UNKNOWN
  end
  local time, user = struct_unpack('>I4', item, 18), sub(item, 22)
  if byte(item) == SOLD then return PURCHASED_AGAIN, user, sale.now - time end
  if time <= sale.now then return CODE_EXPIRED end

  -- The holder's record was read for this command, unless an earlier one of the batch changed item and record.
  local record = sale.user_changed[user] or sale.users[at] or NO_HOLDS
  local place = find_hold(record, item)
  if not place then return CODE_EXPIRED end
  change(sale, index, 's' .. nonce .. sale.now4 .. user, user, with_purchase(record, place))
  sale.unheld[time] = (sale.unheld[time] or 0) + 1
  return PURCHASED, user
end

-- Second of the Unix epoch in which a hold expires, as the field of the hash of holds.
local function expiry_second(sale, expiry)
  return format('%d', floor((sale.opens + expiry) / 1000))
end

local function note_changes(sale)
  local changes = {}
  for n = 1, sale.writes, 2 do
    local sold = byte(sale.item_writes[n + 1]) == SOLD and 1 or 0
    changes[#changes + 1] = struct_pack('>I4', sale.item_writes[n] * 2 + sold)
  end
  local bytes, key = table.concat(changes), sale.key .. 'changes'
  if call('APPEND', key, bytes) == #bytes then call('EXPIREAT', key, sale.expire_at, 'NX') end
end

local function write_sale(sale, watched)
  local key, expire_at = sale.key, sale.expire_at
  if sale.writes > 0 then
    if watched then note_changes(sale) end
    call('HSET', key .. 'items', unpack_list(sale.item_writes))
    call('HSET', key .. 'users', unpack_list(sale.user_writes))
    -- sale_state may have removed every field, and with them the key and its expiry.
    for time, count in pairs(sale.unheld) do
      local left = call('HINCRBY', key .. 'holds', expiry_second(sale, time), -count)
      if left == -count then call('EXPIREAT', key .. 'holds', expire_at, 'NX') end
    end
  end
  if sale.held > 0 then
    local second = expiry_second(sale, sale.expiry)
    if call('HINCRBY', key .. 'holds', second, sale.held) == sale.held then call('EXPIREAT', key .. 'holds', expire_at, 'NX') end
  end
  if #sale.lapsed_list > 0 then
    call('SADD', key .. 'lapsed', unpack_list(sale.lapsed_list))
    call('EXPIREAT', key .. 'lapsed', expire_at, 'NX')
  end
  -- A key is new only with the first count of some outcome (items and users with the first held): a check of each key
  -- in every batch would cost more than deciding two commands.
  local first = false
  for outcome, count in pairs(sale.counts) do
    if call('HINCRBY', key .. 'counts', outcome, count) == count then first = true end
  end
  if first then
    for _, name in ipairs({ 'counts', 'items', 'users' }) do call('EXPIREAT', key .. name, expire_at, 'NX') end
  end
end

-- The sales that the batch names: number -> working copy, or false if it is not listed. And until when somebody watches,
-- the epoch and the admitted run.
local function find_sales(keys, batch)
  local sales, numbers, fields = {}, {}, { 'epoch', 'run', 'watched_until' }
  for at = FIRST, #batch, FIELDS do
    local sale = batch[at]
    if sales[sale] == nil then
      sales[sale] = false
      numbers[#numbers + 1] = sale
      fields[#fields + 1] = format('%d', sale)
    end
  end
  local found = call('HMGET', keys[1], unpack_list(fields))
  local prefix = prefix_of(keys)
  for at = 1, #numbers do
    local field = found[at + 3]
    if field then sales[numbers[at]] = listed_sale(prefix, numbers[at], field) end
  end
  return sales, to_number(found[3] or 0), found[1], found[2]
end

-- Why a caller that is connected to `run` gets no decision; nil when it gets one.
local function refusal(epoch, admitted, run)
  if not epoch then return redis.error_reply('HCEPOCH Redis was emptied or fenced off, and nobody has rebuilt it yet') end
  if admitted ~= run then return redis.error_reply('HCRUN this run of Redis was not compared with Postgres yet') end
end

-- Nothing is decided unless every command has its shape: a record built from a wrong one could not be read again.
local function check(batch)
  if type_of(batch) ~= 'table' or batch[1] ~= BATCH_VERSION then return 'unknown version' end
  local length = #batch
  if length < FIRST - 1 + FIELDS or (length - FIRST + 1) % FIELDS ~= 0 then return 'wrong length' end
  for at = FIRST, length, FIELDS do
    local nonce = batch[at + 2]
    if
      type_of(batch[at]) ~= 'number' or not to_number(batch[at + 1])
      or type_of(nonce) ~= 'string' or #nonce ~= 16 or type_of(batch[at + 3]) ~= 'string'
    then
      return 'malformed command'
    end
  end
end

local function decide(keys, args)
  bind()
  local batch = unpack_message(args[1])
  local wrong = check(batch)
  if wrong then return redis.error_reply('HCBATCH ' .. wrong) end
  local sales, watched_until, epoch, admitted = find_sales(keys, batch)
  local refused = refusal(epoch, admitted, args[2])
  if refused then return refused end
  fetch_all(batch, sales)
  local now = not_before_openings(sales, now_ms())
  set_time(sales, now)

  local current = floor(now / batch[2])
  local unlisted = {}
  local results, n = { now }, 1
  for at = FIRST, #batch, FIELDS do
    local number, nonce, user = batch[at], batch[at + 2], batch[at + 3]
    local sale = sales[number]
    local outcome, first, second, counts
    if sale then
      sale.at = sale.at + 1
      counts = sale.counts
      if user == '' then
        outcome, first, second = purchase(sale, batch[at + 1], nonce)
      else
        outcome, first, second = checkout(sale, batch[at + 1], nonce, user)
      end
    else
      counts = unlisted
      outcome = user == '' and CODE_UNLISTED or number < current and SALE_GONE or SALE_UNLISTED
    end
    counts[outcome] = (counts[outcome] or 0) + 1
    n = n + 1
    results[n] = outcome
    if first then
      n = n + 1
      results[n] = first
      if second then
        n = n + 1
        results[n] = second
      end
    end
  end

  for _, sale in pairs(sales) do
    if sale then write_sale(sale, watched_until > now) end
  end
  for outcome, count in pairs(unlisted) do call('HINCRBY', prefix_of(keys) .. 'counts:unlisted', outcome, count) end
  local encoded = pack(results)
  local id = call('XADD', keys[2], epoch .. '-*', 'b', args[1], 'r', encoded)
  return { encoded, id }
end

-- Takes sales off the list whose keys have expired: at each opening those among some of the list, in turn. With a sale a
-- second 86,400 are listed, and nothing else is decided while they are read.
local function drop_expired(keys, now)
  local at_cursor = call('HGET', keys[1], 'drop_cursor') or '0'
  local cursor, fields = unpack_list(call('HSCAN', keys[1], at_cursor, 'COUNT', DROP_SCAN))
  for at = 1, #fields, 2 do
    local expire_at = match(fields[at + 1], ',(%d+)$')
    if expire_at and to_number(expire_at) * 1000 <= now then call('HDEL', keys[1], fields[at]) end
  end
  if cursor ~= at_cursor then call('HSET', keys[1], 'drop_cursor', cursor) end
end

-- From opens_ms, closes_ms, items, limit, hold_ms and ttl_s, the arguments from `first` on.
local function terms_field(args, first)
  local opens, closes, items, limit, hold, ttl = unpack_list(args, first, first + 5)
  return format('%d,%d,%d,%d,%d,%d', opens, closes, items, limit, hold, math.ceil((closes + hold) / 1000) + ttl)
end

local function open(keys, args)
  bind()
  local now = now_ms()
  local epoch, admitted, stored = unpack_list(call('HMGET', keys[1], 'epoch', 'run', args[1]))
  local refused = refusal(epoch, admitted, args[8])
  if refused then return refused end
  if stored then return { stored, 0, now } end
  local field = terms_field(args, 2)
  drop_expired(keys, now)
  call('HSET', keys[1], args[1], field)
  local opened = { [7] = now }
  for at = 1, 6 do opened[at] = to_number(args[at]) end
  call('XADD', keys[2], epoch .. '-*', 'o', pack(opened))
  return { field, 1, now }
end

local function begin_epoch(keys, epoch, run)
  -- The first entry of an epoch would get the seq 0. Positions count from 1 (0 is "before the first"), so 0 is used up
  -- here. It also makes a log that is ahead of this epoch refuse it, before anything else is written.
  call('XDEL', keys[2], call('XADD', keys[2], epoch .. '-0', 'e', ''))
  call('HSET', keys[1], 'epoch', epoch, 'run', run)
end

local function claim_epoch(keys, args)
  bind()
  local epoch, record = unpack_list(call('HMGET', keys[1], 'epoch', 'record'))
  if not epoch and not record and call('EXISTS', keys[2]) == 0 then
    begin_epoch(keys, args[1], args[2])
    if args[3] ~= '' then call('HSET', keys[1], 'record', args[3]) end
  end
  return call('HGET', keys[1], 'epoch')
end

local function admit(keys, args)
  bind()
  local epoch, record = unpack_list(call('HMGET', keys[1], 'epoch', 'record'))
  if epoch ~= args[1] or record and record ~= args[3] then
    return redis.error_reply('HCEPOCH the state of Redis changed while it was compared with Postgres')
  end
  call('HSET', keys[1], 'run', args[2], 'record', args[3])
  return 1
end

local function fence(keys, args)
  bind()
  if call('HGET', keys[1], 'epoch') ~= args[1] then return 0 end
  call('HDEL', keys[1], 'epoch', 'run')
  return 1
end

local function drop_sale(keys, sale)
  local key = prefix_of(keys) .. 'sale:' .. sale .. ':'
  call('UNLINK', key .. 'items', key .. 'users', key .. 'counts', key .. 'holds', key .. 'lapsed', key .. 'changes')
end

local function rebuild_begin(keys, args)
  bind()
  for _, name in ipairs(call('HKEYS', keys[1])) do
    if match(name, '^%d+$') then drop_sale(keys, name) end
  end
  local prefix = prefix_of(keys)
  call('UNLINK', keys[1], keys[2], prefix .. 'counts:unlisted', prefix .. 'persister')
  call('HSET', keys[1], 'rebuild', args[1], 'record', args[2])
  return 1
end

local function replaced(keys, token)
  if call('HGET', keys[1], 'rebuild') == token then return end
  return redis.error_reply('HCREBUILD another rebuild has begun, or Redis is another one than at the beginning')
end

local function rebuild_sale(keys, args)
  bind()
  local refused = replaced(keys, args[1])
  if refused then return refused end
  drop_sale(keys, args[2]) -- an earlier list of sales may not have had it
  call('HSET', keys[1], args[2], terms_field(args, 3))
  return 1
end

local function rebuild_put(keys, args)
  bind()
  local refused = replaced(keys, args[1])
  if refused then return refused end
  local key = prefix_of(keys) .. 'sale:' .. args[2] .. ':' .. args[3]
  call(args[3] == 'lapsed' and 'SADD' or 'HSET', key, unpack_list(args, 4))
  call('EXPIREAT', key, match(call('HGET', keys[1], args[2]), '%d+$'), 'NX')
  return 1
end

local function rebuild_end(keys, args)
  bind()
  local refused = replaced(keys, args[1])
  if refused then return refused end
  begin_epoch(keys, args[2], args[3])
  call('HDEL', keys[1], 'rebuild')
  return 1
end

local function keep_interval(keys, args)
  bind()
  local now, lease = now_ms(), to_number(args[2])
  local kept, kept_until = match(call('HGET', keys[1], 'interval') or '', '^(%d+):(%d+)$')
  local left = to_number(kept_until or 0) - now
  if left <= 0 then kept = args[1] end
  -- More than a lease: the clock has stepped back, and whoever keeps it has another one to say so again.
  if left > lease or kept == args[1] and left < lease / 2 then
    call('HSET', keys[1], 'interval', kept .. ':' .. format('%d', now + lease))
  end
  return to_number(kept)
end

local function sale_state(keys, args)
  bind()
  local now = now_ms()
  local field = call('HGET', keys[1], args[1])
  if not field then return { false, 0, 0, now } end
  local key = prefix_of(keys) .. 'sale:' .. args[1] .. ':'
  local sold = call('HGET', key .. 'counts', tostring(PURCHASED)) or 0
  local second = floor(now / 1000)
  local held, past = 0, {}
  local holds = call('HGETALL', key .. 'holds')
  for at = 1, #holds, 2 do
    if to_number(holds[at]) >= second then
      held = held + holds[at + 1]
    elseif #past < 1000 then
      past[#past + 1] = holds[at]
    end
  end
  if #past > 0 then call('HDEL', key .. 'holds', unpack_list(past)) end
  -- Where the clock has stepped back, holds may have been purchased whose second was removed before.
  return { field, to_number(sold), math.max(held, 0), now }
end

local function watch(keys, args)
  bind()
  local now = now_ms()
  local field, since, watched_until = unpack_list(call('HMGET', keys[1], args[1], 'watched_since', 'watched_until'))
  if not field then return { false, now, 0, 0, '' } end
  local key = prefix_of(keys) .. 'sale:' .. args[1] .. ':changes'
  local length = call('STRLEN', key)
  since, watched_until = to_number(since or 0), to_number(watched_until or 0)
  if watched_until <= now or length > CHANGES_BYTES_MAX then -- some were not noted, or are no more
    call('DEL', key)
    since, length = math.max(now, since + 1), 0
    call('HSET', keys[1], 'watched_since', format('%d', since))
  end
  -- Not each time: it is a write, which goes to the append-only file.
  if watched_until < now + WATCH_MS / 2 then call('HSET', keys[1], 'watched_until', format('%d', now + WATCH_MS)) end
  local offset = to_number(args[3])
  if to_number(args[2]) ~= since or offset >= length then return { field, now, since, length, '' } end
  return { field, now, since, length, call('GETRANGE', key, offset, offset + args[4] - 1) }
end

local function last_id(log)
  if call('EXISTS', log) == 0 then return '0-0' end
  local info = call('XINFO', 'STREAM', log)
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then return info[at + 1] end
  end
end

local function log_state(keys)
  bind()
  local first = call('XRANGE', keys[2], '-', '+', 'COUNT', 1)[1]
  local fields = first and first[2]
  local since = false
  if fields then
    -- An entry that nobody can read must not hide the state of the log, which is what tells of it.
    local readable, message = pcall(unpack_message, fields[1] == 'o' and fields[2] or fields[4])
    if readable and type_of(message) == 'table' then since = fields[1] == 'o' and message[7] or message[1] or false end
  end
  return {
    now_ms(), call('XLEN', keys[2]), last_id(keys[2]), since, call('HGETALL', prefix_of(keys) .. 'persister'),
    call('HMGET', keys[1], 'epoch', 'run', 'record'),
  }
end

local function item_records(keys, args)
  bind()
  local field = call('HGET', keys[1], args[1])
  if not field then return { false, now_ms(), {} } end
  local indexes = {}
  for n = 1, to_number(args[3]) do indexes[n] = format('%d', args[2] + n - 1) end
  return { field, now_ms(), call('HMGET', prefix_of(keys) .. 'sale:' .. args[1] .. ':items', unpack_list(indexes)) }
end

local function sale_counts(keys, args)
  bind()
  local field = call('HGET', keys[1], args[1])
  if not field then return { false, {} } end
  return { field, call('HGETALL', prefix_of(keys) .. 'sale:' .. args[1] .. ':counts') }
end

local function audit_sale(keys, args)
  bind()
  local field = call('HGET', keys[1], args[1])
  if not field then return { now_ms(), last_id(keys[2]), false, {}, {}, {} } end
  local key = prefix_of(keys) .. 'sale:' .. args[1] .. ':'
  return {
    now_ms(), last_id(keys[2]), field,
    call('HGETALL', key .. 'items'), call('HGETALL', key .. 'users'), call('HGETALL', key .. 'counts'),
  }
end

-- Whole calls, because newer engines check the number of arguments before the right. #: the hash of sales; @: the log.
local COMMANDS = {
  'APPEND # v', 'DEL #', 'EXISTS #', 'EXPIREAT # 1 NX', 'GETRANGE # 0 0', 'HDEL # f', 'HGET # f', 'HGETALL #',
  'HINCRBY # f 1', 'HKEYS #', 'HMGET # f', 'HSCAN # 0', 'HSET # f v', 'SADD # m', 'SISMEMBER # m', 'STRLEN #', 'TIME',
  'UNLINK #', 'XADD @ * f v', 'XDEL @ 0-1', 'XINFO STREAM @', 'XLEN @', 'XRANGE @ - +',
}

-- Asked before anything else: a right that is missing would otherwise end a function after its first write.
local function missing_rights(keys)
  local of_part = { ['#'] = keys[1], ['@'] = keys[2] }
  local missing = {}
  for _, command in ipairs(COMMANDS) do
    local parts = {}
    for part in string.gmatch(command, '%S+') do parts[#parts + 1] = of_part[part] or part end
    if not redis.acl_check_cmd(unpack(parts)) then missing[#missing + 1] = parts[1] end
  end
  return missing
end

redis.register_function('@LIBRARY@_decide', decide)
redis.register_function('@LIBRARY@_open', open)
redis.register_function('@LIBRARY@_claim_epoch', claim_epoch)
redis.register_function('@LIBRARY@_admit', admit)
redis.register_function('@LIBRARY@_fence', fence)
redis.register_function('@LIBRARY@_rebuild_begin', rebuild_begin)
redis.register_function('@LIBRARY@_rebuild_sale', rebuild_sale)
redis.register_function('@LIBRARY@_rebuild_put', rebuild_put)
redis.register_function('@LIBRARY@_rebuild_end', rebuild_end)
redis.register_function('@LIBRARY@_keep_interval', keep_interval)
redis.register_function('@LIBRARY@_sale_state', sale_state)
redis.register_function('@LIBRARY@_watch', watch)
redis.register_function({ function_name = '@LIBRARY@_missing_rights', callback = missing_rights, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_log_state', callback = log_state, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_item_records', callback = item_records, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_sale_counts', callback = sale_counts, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_audit_sale', callback = audit_sale, flags = { 'no-writes' } })
