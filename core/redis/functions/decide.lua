--[[
Decisions with their log entry, in one atomic step; and the opening of sales.

decide ARGV: 1 a batch, msgpack: [1, interval_ms, (sale, index, nonce, user)*]; user '' is a purchase, else a checkout; 2 run.
  Returns {results, id}; results, msgpack: [now_ms, (outcome, details...)*] in the order of the commands; id of the log
  entry, '' where no command changed or decided anything: then there is none.
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
  In sales of several shards a nonce may go on after its 16 bytes: '!' makes a checkout's word the last one, and each
  ;from,epoch,total is a receipt: shard `from` has said in its `epoch` that it lent this one so many of the user's rights.
  A nonce of 16 dashes makes it a loan: index is the number of the shard that asks for one of the user's rights.
  Replies that are no outcome of an attempt. The first two change something, the others nothing, not even the log. A
  command's place in the log entry is its number among those that have decided or changed something.
    31     lent                epoch rows
    32     received            receipts
    41     not_lent            epoch rows
    42     misplaced           shards
    43     rights_elsewhere
    44     not_listed
  rows: lent0,lent1,...;got0,got1,... by shard, after the command. received stands before the reply to a command whose
  receipts had news: from,total;... misplaced: the item is another shard's. rights_elsewhere: the item is free, but the
  user has no right to it here. not_listed: only another shard may say more of the sale.
open ARGV: sale, opens_ms, closes_ms, items, limit, hold_ms, ttl_s, run, shards, expire_at_s ('': after ttl_s). The last two
  may be left out. Idempotent: a listed sale stays as it is. Returns {sale's field, 1 if this call opened it else 0,
  now_ms}. Drops some of the sales whose keys have expired.

A script that fails is not rolled back: decide takes every decision before its first write.
]]

local BATCH_VERSION = 1
local NONCE_BYTES = 16
local LOAN = '----------------' -- in the place of a nonce
local LAST_WORD = 33 -- '!'
local DROP_SCAN_FIELDS = 200 -- listed sales looked at in each opening, which adds one

-- How many of the user's rights are here.
local function rights_here(sale, user, moved)
  local shards, limit = sale.shards, sale.limit
  local rights = sale.least
  if (sale.shard - home_of(user, shards)) % shards < limit % shards then rights = rights + 1 end
  return rights + moved_here(moved)
end

-- Whether a right is there for one hold more: the user's entry, then perhaps without what has expired. Or the refusal: the
-- user's rights elsewhere count only if the word isn't the last one, and if there are any.
local function with_room(sale, user, entry, is_last_word)
  local limit = sale.limit
  if sale.shards then
    local moved = moved_rights(sale, user)
    -- Without a look at the user's home, which costs a hash.
    if slots_taken(entry) < sale.least + moved_here(moved) then return entry end
    limit = rights_here(sale, user, moved)
  end
  if slots_taken(entry) < limit then return entry end
  entry = without_expired(entry, sale.now)
  if slots_taken(entry) < limit then return entry end
  if limit >= sale.limit or is_last_word then return nil, USER_LIMIT_REACHED end
  return nil, RIGHTS_ELSEWHERE
end

local function checkout(sale, index, nonce, user, is_last_word)
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

  local entry, refused = with_room(sale, user, sale.user_changed[user] or sale.users[at] or NO_HOLDS, is_last_word)
  if refused then return refused end

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

-- What this shard has lent of a user's rights, and got, by shard.
local function rights_rows(sale, user)
  local moved = moved_rights(sale, user)
  local rows = sale.rows_of[moved]
  if rows then return rows end
  local lents, gots = {}, {}
  for peer = 0, sale.shards - 1 do
    local _, _, lent, got = right_of(moved, peer)
    lents[peer + 1], gots[peer + 1] = lent, got
  end
  rows = table.concat(lents, ',') .. ';' .. table.concat(gots, ',')
  sale.rows_of[moved] = rows
  return rows
end

-- The rights after these receipts: of each total that is greater than the one that is known. And which were, for the log;
-- nil: none.
local function with_receipts(keys, sale, rights, receipts)
  local news
  for from, epoch, total in string.gmatch(receipts, ';(%d+),(%d+),(%d+)') do
    local peer = to_number(from)
    total = to_number(total)
    if peer < sale.shards and peer ~= sale.shard then
      local _, _, _, got = right_of(rights, peer)
      if total > got and to_number(epoch) >= to_number(call('HGET', keys[1], 'oldest:' .. format('%d', peer)) or 0) then
        rights = with_moved(rights, peer, 0, total - got)
        news = (news and news .. ';' or '') .. format('%d,%d', peer, total)
      end
    end
  end
  return rights, news
end

-- What others have lent. Says what was news of it, for the log; nil: nothing. Whoever calls it has the user's entry written.
local function receive(keys, sale, user, receipts)
  local moved = moved_rights(sale, user)
  local rights, news
  local known = moved == '' and sale.first_received[receipts]
  if known then
    rights, news = known[1], known[2]
  else
    rights, news = with_receipts(keys, sale, moved, receipts)
    if moved == '' then sale.first_received[receipts] = { rights, news } end
  end
  if not news then return nil end
  sale.rights_changed[user] = rights
  sale.has_moved = true
  return news
end

-- Sets one of the user's rights aside for another shard, if one is free. What has expired is cut off before it is counted,
-- because it takes up a right no more, whatever Redis' clock says later.
local function lend(sale, to, user)
  local peer = to_number(match(to, '^%d+$'))
  if not peer or peer >= sale.shards or peer == sale.shard then return NOT_LENT end
  local moved = moved_rights(sale, user)
  local entry = without_expired(sale.user_changed[user] or sale.users[sale.at] or NO_HOLDS, sale.now)
  if slots_taken(entry) >= rights_here(sale, user, moved) then return NOT_LENT end
  local lent = moved == '' and sale.first_lent[peer] or with_moved(moved, peer, 1, 0)
  if moved == '' then sale.first_lent[peer] = lent end
  sale.rights_changed[user] = lent
  sale.has_moved = true
  change_user(sale, user, entry)
  return LENT
end

local function without_receipt(total)
  return to_number(total) <= RIGHTS_MAX and '' or nil
end

-- Whether that may follow a nonce: perhaps the last word, then receipts, none of them with more rights than an entry holds.
local function is_addition(text)
  local receipts = byte(text) == LAST_WORD and sub(text, 2) or text
  local rest = string.gsub(receipts, ';%d+,%d+,(%d+)', without_receipt)
  return rest == ''
end

-- Nothing is decided unless every command has its shape: an entry built from a wrong one could not be read again.
local function check(batch)
  if type_of(batch) ~= 'table' or batch[1] ~= BATCH_VERSION then return 'unknown version' end
  local length = #batch
  if length < FIRST - 1 + FIELDS or (length - FIRST + 1) % FIELDS ~= 0 then return 'wrong length' end
  local additions = {} -- those that were looked at: many are the same
  for at = FIRST, length, FIELDS do
    local nonce = batch[at + 2]
    local user = batch[at + 3]
    if
      type_of(batch[at]) ~= 'number' or not to_number(batch[at + 1])
      or type_of(nonce) ~= 'string' or #nonce < NONCE_BYTES or type_of(user) ~= 'string'
    then
      return 'malformed command'
    end
    if #nonce > NONCE_BYTES then
      local addition = sub(nonce, NONCE_BYTES + 1)
      if user == '' or not (additions[addition] or is_addition(addition)) then return 'malformed command' end
      additions[addition] = true
    end
  end
end

-- The reply to a command on a sale of several shards, with its details, and what it has received.
local function sharded_reply(keys, sale, epoch, index, nonce, user)
  local is_long = #nonce > NONCE_BYTES
  local is_loan = (is_long and sub(nonce, 1, NONCE_BYTES) or nonce) == LOAN and user ~= ''
  if not is_loan and (to_number(index) - 1) % sale.shards ~= sale.shard then return MISPLACED, sale.shards end
  if user == '' then return purchase(sale, index, nonce) end
  local received
  local is_last_word = false
  if is_long then
    received = receive(keys, sale, user, sub(nonce, NONCE_BYTES + 1))
    is_last_word = byte(nonce, NONCE_BYTES + 1) == LAST_WORD
    nonce = sub(nonce, 1, NONCE_BYTES)
  end
  local outcome, first, second
  if is_loan then
    outcome = lend(sale, index, user)
  else
    outcome, first, second = checkout(sale, index, nonce, user, is_last_word)
  end
  if received and outcome ~= HELD and outcome ~= LENT then
    change_user(sale, user, sale.user_changed[user] or sale.users[sale.at] or NO_HOLDS)
  end
  if is_loan then return outcome, to_number(epoch), rights_rows(sale, user), received end
  return outcome, first, second, received
end

local function single_reply(sale, index, nonce, user)
  if user == '' then return purchase(sale, index, nonce) end
  if nonce == LOAN then return NOT_LISTED end
  if #nonce > NONCE_BYTES then nonce = sub(nonce, 1, NONCE_BYTES) end
  return checkout(sale, index, nonce, user)
end

-- A sale that is not listed here, or that the call may not touch: of that one, and of any but in the first shard, nothing
-- is said.
local function unlisted_reply(keys, number, nonce, user, current, undeclared)
  if undeclared[number] or user ~= '' and sub(nonce, 1, NONCE_BYTES) == LOAN or shard_of(keys) ~= 0 then return NOT_LISTED end
  return user == '' and CODE_UNLISTED or number < current and SALE_GONE or SALE_UNLISTED
end

local function any_torn(sales, now)
  for _, sale in pairs(sales) do
    if sale and is_torn(sale, now) then return true end
  end
  return false
end

local function decide(keys, args)
  bind()
  local batch = unpack_message(args[1])
  local wrong = check(batch)
  if wrong then return redis.error_reply('HCBATCH ' .. wrong) end
  local sales, watched_until, epoch, admitted, undeclared = find_sales(keys, batch)
  local refused = refusal(epoch, admitted, args[2])
  if refused then return refused end
  fetch_all(batch, sales)
  local now = not_before_openings(sales, now_ms())
  if any_torn(sales, now) then
    -- Not only this batch: without an epoch the shard counts as lost, and is rebuilt from the record.
    call('HDEL', keys[1], 'epoch', 'run')
    return redis.error_reply('HCEPOCH a part of a sale is no longer in this Redis')
  end
  set_time(sales, now)

  local current = floor(now / batch[2])
  local unlisted, is_placed = {}, false
  local results, n = { now }, 1
  for at = FIRST, #batch, FIELDS do
    local number, nonce, user = batch[at], batch[at + 2], batch[at + 3]
    local sale = sales[number]
    local outcome, first, second, received, counts
    if sale then
      sale.at = sale.at + 1
      counts = sale.counts
      if sale.shards then
        outcome, first, second, received = sharded_reply(keys, sale, epoch, batch[at + 1], nonce, user)
      else
        outcome, first, second = single_reply(sale, batch[at + 1], nonce, user)
      end
    else
      counts = unlisted
      outcome = unlisted_reply(keys, number, nonce, user, current, undeclared)
    end
    if received then
      is_placed = true
      results[n + 1], results[n + 2] = RECEIVED, received
      n = n + 2
    end
    if outcome < LENT then
      counts[outcome] = (counts[outcome] or 0) + 1
      is_placed = true
    elseif outcome == LENT then
      is_placed = true
    end
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
  local encoded = pack(results)
  if not is_placed then return { encoded, '' } end

  for _, sale in pairs(sales) do
    if sale then write_sale(sale, watched_until > now) end
  end
  for outcome, count in pairs(unlisted) do call('HINCRBY', prefix_of(keys) .. 'counts:unlisted', outcome, count) end
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
  local field = terms_field(args, 2, args[9], args[10])
  drop_expired(keys, now)
  call('HSET', keys[1], args[1], field)
  local opened = { [7] = now }
  for at = 1, 6 do opened[at] = to_number(args[at]) end
  local shards = to_number(args[9] or 1)
  if shards > 1 then opened[8] = shards end
  call('XADD', keys[2], epoch .. '-*', 'o', pack(opened))
  return { field, 1, now }
end

redis.register_function('@LIBRARY@_decide', decide)
redis.register_function('@LIBRARY@_open', open)
