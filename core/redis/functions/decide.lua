--[[
Decisions with their log entry, in one atomic step; and the opening of sales.

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

A script that fails is not rolled back: decide takes every decision before its first write.
]]

local BATCH_VERSION = 1
local FIRST, FIELDS = 3, 4 -- of the commands in a batch
local SOLD = 115 -- 's'
local NO_HOLDS = '\0\0'
local DROP_SCAN_FIELDS = 200 -- listed sales looked at in each opening, which adds one

-- The working copy of a listed sale for the length of one batch, without the time: see set_time.
-- What Redis holds is in arrays, one value for each command of the sale in their order; what this batch changed is in
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

-- Times inside entries can't be before the sale's opening. So for a batch that names an item which somebody has held, of a
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

-- `now` is the time inside entries.
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

-- The user's entry without the holds that have expired. They are in order of expiry, so those are a prefix.
local function without_expired(entry, now)
  local at = 3
  while at < #entry and struct_unpack('>I4', entry, at) <= now do at = at + 4 end
  return at == 3 and entry or sub(entry, 1, 2) .. sub(entry, at)
end

-- The user's entry with one hold more. Unless Redis' clock has stepped back it is the last one to expire.
local function with_hold(entry, expiry, expiry4)
  local at = #entry - 3
  if at < 3 or struct_unpack('>I4', entry, at) <= expiry then return entry .. expiry4 end
  repeat at = at - 4 until at < 3 or struct_unpack('>I4', entry, at) <= expiry
  return sub(entry, 1, at + 3) .. expiry4 .. sub(entry, at + 4)
end

-- Where the hold of an item stands in its holder's entry. nil: it was cut off, and may be alive only because Redis' clock
-- has stepped back since. (Of two holds with the same expiry either may be it: they take one slot each.)
local function find_hold(entry, item)
  local expiry4 = sub(item, 18, 21)
  for at = 3, #entry, 4 do
    if sub(entry, at, at + 3) == expiry4 then return at end
  end
end

-- The user's entry with the hold at that place purchased.
local function with_purchase(entry, at)
  return struct_pack('>I2', struct_unpack('>I2', entry, 1) + 1) .. sub(entry, 3, at - 1) .. sub(entry, at + 4)
end

local function slots_taken(entry)
  local high, low = byte(entry, 1, 2)
  return high * 256 + low + (#entry - 2) / 4
end

local function change(sale, index, item, user, entry)
  local n = sale.writes
  sale.item_changed[index], sale.user_changed[user] = item, entry
  sale.item_writes[n + 1], sale.item_writes[n + 2] = index, item
  sale.user_writes[n + 1], sale.user_writes[n + 2] = user, entry
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

  local entry = sale.user_changed[user] or sale.users[at] or NO_HOLDS
  if slots_taken(entry) >= sale.limit then
    entry = without_expired(entry, now)
    if slots_taken(entry) >= sale.limit then return USER_LIMIT_REACHED end
  end

  if item then -- an expired hold is taken over: its code was real, and must be told from one that never was
    local old = sub(item, 2, 17)
    sale.lapsed[old] = true
    sale.lapsed_list[#sale.lapsed_list + 1] = old
  end
  change(sale, index, 'h' .. nonce .. sale.expiry4 .. user, user, with_hold(entry, sale.expiry, sale.expiry4))
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

  -- The holder's entry was read for this command, unless an earlier one of the batch changed both entries.
  local entry = sale.user_changed[user] or sale.users[at] or NO_HOLDS
  local place = find_hold(entry, item)
  if not place then return CODE_EXPIRED end
  change(sale, index, 's' .. nonce .. sale.now4 .. user, user, with_purchase(entry, place))
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

-- Nothing is decided unless every command has its shape: an entry built from a wrong one could not be read again.
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
  local cursor, fields = unpack_list(call('HSCAN', keys[1], at_cursor, 'COUNT', DROP_SCAN_FIELDS))
  for at = 1, #fields, 2 do
    local expire_at = match(fields[at + 1], ',(%d+)$')
    if expire_at and to_number(expire_at) * 1000 <= now then call('HDEL', keys[1], fields[at]) end
  end
  if cursor ~= at_cursor then call('HSET', keys[1], 'drop_cursor', cursor) end
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

redis.register_function('@LIBRARY@_decide', decide)
redis.register_function('@LIBRARY@_open', open)
