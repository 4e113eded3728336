--[[
The working copy of a listed sale for the length of one batch: reads what its commands touch, keeps what they change, and
writes it at the end.
]]

local FIRST, FIELDS = 3, 4 -- of the commands in a batch
local SOLD = 115 -- 's'
local NO_HOLDS = '\0\0'
local FIRST_SALE_KEY, SALE_KEYS = 5, 6 -- of the keys of a call that names them all: see declaredKeys in keys.ts

-- The field in the hash of sales that says that a sale of several shards had its first hold here: see is_torn.
local function note_of(key)
  return 'held:' .. match(key, '(%d+):$')
end

-- The value has its expiry at the end, as that of a sale: whoever drops expired sales drops it too.
local function note_hold(list, key, expire_at)
  call('HSET', list, note_of(key), '1,' .. expire_at)
end

-- The working copy of a listed sale for the length of one batch, without the time: see set_time.
-- What Redis holds is in arrays, one value for each command of the sale in their order; what this batch changed is in
-- maps that go before them, and in flat lists for the one HSET at the end (where a later value of a field wins).
-- Arrays because filling a map costs Lua more than everything else that a command needs.
local function listed_sale(keys, key, field)
  local opens, closes, items, limit, hold, shards, expire_at = parse_terms(field)
  local sale = {
    key = key, expire_at = expire_at,
    opens = to_number(opens), closes = to_number(closes), open = false, closed = false,
    items_max = to_number(items), limit = to_number(limit), hold = to_number(hold),
    now = 0, now4 = '', expiry = 0, expiry4 = '',
    at = 0, indexes = {}, items = {}, holders = {}, users = {},
    item_changed = {}, item_writes = {}, user_changed = {}, user_writes = {}, writes = 0, user_values = 0,
    counts = {}, held = 0, unheld = {}, lapsed = {}, lapsed_list = {},
  }
  if shards > 1 then
    sale.shards, sale.shard = shards, shard_of(keys)
    sale.list = keys[1]
    -- Every user has so many rights in every shard, as long as none was lent.
    sale.least = floor(sale.limit / shards)
    sale.rights, sale.rights_changed, sale.has_moved = {}, {}, false
    -- Many users of a batch have the same rights, and receipts: what is made of them is kept.
    sale.rows_of, sale.first_received, sale.first_lent = {}, {}, {}
  end
  return sale
end

-- Whether the call may touch the keys of a sale. In a cluster it names all keys that it may touch, so that while a slot
-- moves the cluster refuses the call and not a part of it; to a plain Redis it names the first two alone.
local function is_declared(keys, key)
  if #keys <= 2 then return true end
  local items = key .. 'items'
  for at = FIRST_SALE_KEY, #keys, SALE_KEYS do
    if keys[at] == items then return true end
  end
  return false
end

-- The sales that the batch names: number -> working copy, or false if it is not listed (or listed, and not declared: these
-- are in a set of their own). And until when somebody watches, the epoch and the admitted run.
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
  local undeclared = {}
  for at = 1, #numbers do
    local field = found[at + 3]
    if field then
      local key = prefix .. 'sale:' .. fields[at + 3] .. ':'
      if is_declared(keys, key) then
        sales[numbers[at]] = listed_sale(keys, key, field)
      else
        undeclared[numbers[at]] = true
      end
    end
  end
  return sales, to_number(found[3] or 0), found[1], found[2], undeclared
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
      if sale.shards then
        for n = 1, sale.at do
          if sale.users[n] then sale.users[n], sale.rights[n] = split_rights(sale.users[n]) end
        end
      end
      sale.at = 0
    end
  end
end

local function has_any(values, count)
  for n = 1, count do
    if values[n] then return true end
  end
  return false
end

-- Whether keys of a sale of several shards are gone that were there. Whoever broke off the move of a slot may have left them on
-- another node: every item would look free here. A batch that finds an item and a user pays nothing for it, another one a call.
local function is_torn(sale, now)
  if not sale.shards then return false end
  local count = #sale.indexes
  if has_any(sale.items, count) and has_any(sale.users, count) then return false end
  local key = sale.key
  if call('EXISTS', key .. 'items', key .. 'users', key .. 'counts') == 3 then return false end
  -- After their time keys go, and the sale may be listed a while longer.
  return now < to_number(sale.expire_at) * 1000 and call('HGET', sale.list, note_of(key)) ~= false
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

-- The rights of the user of the command at hand that were lent or got: '' mostly.
local function moved_rights(sale, user)
  if sale.user_changed[user] then return sale.rights_changed[user] or '' end
  return sale.rights_changed[user] or sale.rights[sale.at] or ''
end

local function change_user(sale, user, entry)
  local n = sale.user_values
  local changed = entry
  if sale.shards then
    local moved = moved_rights(sale, user)
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

local function change(sale, index, item, user, entry)
  local n = sale.writes
  sale.item_changed[index] = item
  sale.item_writes[n + 1], sale.item_writes[n + 2] = index, item
  sale.writes = n + 2
  change_user(sale, user, entry)
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
    -- sale_state may have removed every field, and with them the key and its expiry.
    for time, count in pairs(sale.unheld) do
      local left = call('HINCRBY', key .. 'holds', expiry_second(sale, time), -count)
      if left == -count then call('EXPIREAT', key .. 'holds', expire_at, 'NX') end
    end
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
