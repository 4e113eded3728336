--[[
The working copy of a listed sale for the length of one batch: reads what its commands touch, keeps what they change, and
writes it at the end.
]]

local SOLD = 115 -- 's'
local NO_HOLDS, ONE_BOUGHT = '\0\0', '\0\1'
local RELEASED_TIME, RELEASED4 = 0, '\0\0\0\0' -- in the place of an expiry

-- The field in the hash of sales that says that a sale of several shards had its first hold here: see is_torn.
local function note_of(key)
  return 'held:' .. match(key, '(%d+):$')
end

-- The value has its expiry at the end, as that of a sale: whoever drops expired sales drops it too.
local function note_hold(list, key, expire_at)
  call('HSET', list, note_of(key), '1,' .. expire_at)
end

-- The working copy of a listed sale for the length of one batch, without the time: see set_time. `at` is the place of the
-- command at hand in its run. What Redis holds for a run is in arrays, one value for each of its commands; what the batch has
-- changed is in maps that go before them, and in flat lists for the one HSET at the end (where a later value of a field wins).
-- Arrays because filling a map costs Lua more than everything else that a command needs.
local function listed_sale(keys, key, field)
  local opens, closes, items, limit, hold, shards, expire_at = parse_terms(field)
  local sale = {
    key = key, expire_at = expire_at,
    opens = to_number(opens), closes = to_number(closes), open = false, closed = false,
    items_max = to_number(items), items_digits = #items, limit = to_number(limit), hold = to_number(hold),
    now = 0, now4 = '', expiry = 0, expiry4 = '',
    at = 0, item_changed = {}, item_writes = {}, user_changed = {}, user_writes = {}, writes = 0, user_values = 0,
    counts = {}, held = 0, unheld = {}, lapsed = {}, lapsed_list = {}, has_releases = false,
  }
  if shards > 1 then
    sale.shards, sale.shard = shards, shard_of(keys)
    sale.list = keys[1]
    -- Every user has so many rights in every shard, as long as none was lent.
    sale.least = floor(sale.limit / shards)
    sale.rights_changed, sale.has_moved = {}, false
    -- Many users of a batch have the same rights, and receipts: what is made of them is kept.
    sale.rows_of, sale.first_received, sale.first_lent = {}, {}, {}
  end
  return sale
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

-- The time in an item's entry. struct would read its format each time.
local function time_of(item)
  local first, second, third, fourth = byte(item, 18, 21)
  return ((first * 256 + second) * 256 + third) * 256 + fourth
end

-- Where the hold that ends then stands in its holder's entry. nil: it was cut off, and may be alive only because Redis' clock
-- has stepped back since. (Of two holds with the same expiry either may be it: they take one slot each.)
local function find_hold(entry, expiry4)
  for at = 3, #entry, 4 do
    if sub(entry, at, at + 3) == expiry4 then return at end
  end
end

-- The user's entry without the hold at that place.
local function without_hold(entry, at)
  return sub(entry, 1, at - 1) .. sub(entry, at + 4)
end

-- The user's entry with the hold at that place purchased.
local function with_purchase(entry, at)
  local high, low = byte(entry, 1, 2)
  local bought = low < 255 and char(high, low + 1) or char(high + 1, 0)
  if #entry == 6 then return bought end -- it is the user's only one, mostly
  return bought .. sub(entry, 3, at - 1) .. sub(entry, at + 4)
end

local function slots_taken(entry)
  local high, low = byte(entry, 1, 2)
  return high * 256 + low + (#entry - 2) / 4
end

-- The rights of the user of the command at hand that were lent or got: '' mostly.
local function moved_rights(sale, run, user)
  if sale.user_changed[user] then return sale.rights_changed[user] or '' end
  return sale.rights_changed[user] or run.rights[sale.at] or ''
end

local function change_user(sale, run, user, entry)
  local n = sale.user_values
  local changed = entry
  if sale.shards then
    local moved = moved_rights(sale, run, user)
    if moved == '' then
      entry = entry .. NO_RIGHTS
    else
      sale.rights_changed[user] = moved
      entry = join_rights(entry, moved)
    end
  end
  sale.user_changed[user] = changed
  sale.user_writes[n + 1], sale.user_writes[n + 2] = user, entry
  sale.user_values = n + 2
end

local function change(sale, run, index, item, user, entry)
  local n = sale.writes
  sale.item_changed[index] = item
  sale.item_writes[n + 1], sale.item_writes[n + 2] = index, item
  sale.writes = n + 2
  change_user(sale, run, user, entry)
end

-- Second of the Unix epoch in which a hold expires: a field of the hash of holds.
local function expiry_second(sale, expiry)
  return format('%d', floor((sale.opens + expiry) / 1000))
end

-- Takes purchased and released holds off their seconds: one call a second, however many milliseconds in it they end in.
local function write_unheld(sale)
  local seconds = {}
  for expiry4, number in pairs(sale.unheld) do
    local second = expiry_second(sale, (struct_unpack('>I4', expiry4)))
    seconds[second] = (seconds[second] or 0) + number
  end
  local key = sale.key .. 'holds'
  for second, number in pairs(seconds) do
    -- sale_state may have removed every field, and with them the key and its expiry.
    if call('HINCRBY', key, second, -number) == -number then call('EXPIREAT', key, sale.expire_at, 'NX') end
  end
end

local function note_changes(sale)
  local changes = {}
  for n = 1, sale.writes, 2 do
    local item, change = sale.item_writes[n + 1], sale.item_writes[n] * 2
    local is_sold = byte(item) == SOLD
    local is_released = sale.has_releases and not is_sold and sub(item, 18, 21) == RELEASED4
    -- As sold and then held: a worker of a version without releases shows it as held, until a hold would end.
    if is_released then changes[#changes + 1] = struct_pack('>I4', change + 1) end
    changes[#changes + 1] = struct_pack('>I4', change + (is_sold and 1 or 0))
  end
  local bytes, key = concat(changes), sale.key .. 'changes'
  if call('APPEND', key, bytes) == #bytes then call('EXPIREAT', key, sale.expire_at, 'NX') end
end

local function write_sale(sale, watched)
  local key, expire_at = sale.key, sale.expire_at
  if sale.writes > 0 then
    if watched then note_changes(sale) end
    call('HSET', key .. 'items', unpack_list(sale.item_writes))
    write_unheld(sale)
  end
  if sale.user_values > 0 then call('HSET', key .. 'users', unpack_list(sale.user_writes)) end
  -- The first of a key may have been a right that moved, which counts as no outcome.
  if sale.has_moved then call('EXPIREAT', key .. 'users', expire_at, 'NX') end
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
    if sale.shards and sale.held > 0 then note_hold(sale.list, key, expire_at) end
  end
end
