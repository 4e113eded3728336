--[[
Decisions with their log entry, in one atomic step; and the opening of sales.

decide ARGV: 1 a batch as the log keeps it, msgpack: [1, interval_ms, (sale, index, nonce, user)*], where user '' is a purchase
  or a release, else a checkout; 2 the same in columns: see batch.lua; 3 run.
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
    11     released            user
    12     released_again      user
    13     release_sold
    14     release_unknown
    15     release_expired
    16     release_unlisted                        -
    17     release_of_another
    21     purchased           user
    22     purchased_again     user purchased_ago_ms
    23     code_unknown
    24     code_expired
    25     code_unlisted                           -
    26     code_of_another
  Where user is '' a nonce may go on after its 16 bytes, and the batch begins with 2 then: '-' makes it a release, and '@' with
  the buyer behind it says whose the code has to be: another's is told nothing else of it.
  In sales of several shards a checkout's nonce may go on too: '!' makes its word the last one, and each ;from,epoch,total is a
  receipt: shard `from` has said in its `epoch` that it lent this one so many of the user's rights.
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

local DROP_SCAN_FIELDS = 200 -- listed sales looked at in each opening, which adds one
local ARRAY, UINT = 221, 206 -- msgpack's marks of an array and of a number of 4 bytes

-- Replies under construction: msgpack in parts, together so many values. A part is mostly a constant, which costs one write.
local function new_reply(now)
  return { '', pack(now), parts = 2, values = 1, is_placed = false }
end

local function add(reply, values, part)
  local n = reply.parts + 1
  reply[n], reply.parts, reply.values = part, n, reply.values + values
end

-- With up to two details, which may be absent.
local function add_reply(reply, outcome, first, second)
  if second then return add(reply, 3, pack(outcome, first, second)) end
  if first then return add(reply, 2, pack(outcome, first)) end
  add(reply, 1, char(outcome))
end

local function count(counts, outcome, more)
  if more > 0 then counts[outcome] = (counts[outcome] or 0) + more end
end

-- So many commands with the same outcome, which change nothing.
local function add_alike(reply, counts, outcome, number)
  add(reply, number, rep(char(outcome), number))
  if outcome < LENT then
    count(counts, outcome, number)
    reply.is_placed = true
  end
end

-- What most checkouts of a sale of one shard meet is decided here in one piece, where a call of a function for each command
-- would cost more than its decision: items that are free, or sold, or others'. The rest, and the order of the rules, is in
-- rules.lua.
local function decide_checkouts(reply, sale, run)
  local indexes, users, nonces, items, entries, ends = run.indexes, run.users, run.nonces, run.items, run.entries, run.ends
  local item_changed, item_writes = sale.item_changed, sale.item_writes
  local user_changed, user_writes = sale.user_changed, sale.user_writes
  local is_selling, digits, limit, now = sale.open and not sale.closed, sale.items_digits, sale.limit, sale.now
  local expiry, expiry4, counts = sale.expiry, sale.expiry4, sale.counts
  local first_entry, held_reply, sold_reply = NO_HOLDS .. expiry4, pack(HELD, sale.hold), char(ITEM_SOLD)
  local n, values, held, sold, others = reply.parts, reply.values, 0, 0, 0
  for at = 1, #indexes do
    local index, user = indexes[at], users[at]
    local entry, till, is_free
    if is_selling and not item_changed[index] then
      till = ends[at]
      is_free = not items[at] and #index < digits and index ~= '0'
      if is_free then
        entry = user_changed[user] or entries[at]
        if not entry then
          entry = first_entry
        else
          local high, low = byte(entry, 1, 2)
          entry = high * 256 + low + (#entry - 2) / 4 < limit and with_hold(entry, expiry, expiry4)
        end
      end
    end
    n = n + 1
    if entry then
      local writes = sale.writes
      local item = 'h' .. sub(nonces, NONCE_BYTES * at - NONCE_BYTES + 1, NONCE_BYTES * at) .. expiry4 .. user
      item_changed[index], user_changed[user] = item, entry
      item_writes[writes + 1], item_writes[writes + 2] = index, item
      user_writes[writes + 1], user_writes[writes + 2] = user, entry
      sale.writes = writes + 2
      reply[n], values, held = held_reply, values + 2, held + 1
    elseif till == WAS_SOLD then
      reply[n], values, sold = sold_reply, values + 1, sold + 1
    elseif till then
      reply[n], values, others = struct_pack('>BBI4', ITEM_HELD, UINT, till - now), values + 2, others + 1
    else
      sale.at, sale.user_values = at, sale.writes
      local outcome, first, second
      if is_free then
        outcome, first, second = take(sale, run, index, nil, user)
      else
        outcome, first, second = checkout(sale, run, index, user)
      end
      count(counts, outcome, 1)
      reply.parts, reply.values = n - 1, values
      add_reply(reply, outcome, first, second)
      values = reply.values
    end
  end
  reply.parts, reply.values, reply.is_placed = n, values, true
  sale.held, sale.user_values = sale.held + held, sale.writes
  count(counts, HELD, held)
  count(counts, ITEM_SOLD, sold)
  count(counts, ITEM_HELD, others)
end

-- The heads of replies to a purchase, by the length of the user that follows.
local purchased_heads = {}

local function purchased_head(length)
  local head = sub(pack(PURCHASED, rep('-', length)), 1, -1 - length)
  purchased_heads[length] = head
  return head
end

-- The entry of a user whose one hold ends then, and who has bought nothing; false: it has ended. By the four bytes of the end.
local function only_hold(ends, item, expiry4, now)
  local entry = time_of(item) > now and NO_HOLDS .. expiry4
  ends[expiry4] = entry
  return entry
end

-- As decide_checkouts: purchases of what is held are decided here, and what is not bought in rules.lua.
local function decide_purchases(reply, sale, run)
  local indexes, nonces, items, entries, holders = run.indexes, run.nonces, run.items, run.entries, run.holders
  local has_buyers = run.additions ~= ''
  local item_changed, item_writes = sale.item_changed, sale.item_writes
  local user_changed, user_writes = sale.user_changed, sale.user_writes
  local now, now4, unheld, ends = sale.now, sale.now4, sale.unheld, {}
  local n, values, purchased = reply.parts, reply.values, 0
  for at = 1, #indexes do
    local index, user = indexes[at], holders[at]
    local item = not item_changed[index] and items[at]
    local nonce, expiry4, entry
    if item and byte(item) ~= SOLD then
      nonce, expiry4 = sub(nonces, NONCE_BYTES * at - NONCE_BYTES + 1, NONCE_BYTES * at), sub(item, 18, 21)
      local only = ends[expiry4]
      if only == nil then only = only_hold(ends, item, expiry4, now) end
      if only and sub(item, 2, 17) == nonce and not (has_buyers and is_of_another(run, at, user)) then
        entry = user_changed[user] or entries[at]
        if entry == only then
          entry = ONE_BOUGHT
        elseif entry then
          local place = find_hold(entry, expiry4)
          entry = place and with_purchase(entry, place)
        end
      end
    end
    if entry then
      local writes = sale.writes
      item = 's' .. nonce .. now4 .. user
      item_changed[index], user_changed[user] = item, entry
      item_writes[writes + 1], item_writes[writes + 2] = index, item
      user_writes[writes + 1], user_writes[writes + 2] = user, entry
      sale.writes = writes + 2
      unheld[expiry4] = (unheld[expiry4] or 0) + 1
      reply[n + 1], reply[n + 2] = purchased_heads[#user] or purchased_head(#user), user
      n, values, purchased = n + 2, values + 2, purchased + 1
    else
      sale.at, sale.user_values, reply.parts, reply.values = at, sale.writes, n, values
      local outcome, first, second = redeem(sale, run, index, false)
      count(sale.counts, outcome, 1)
      add_reply(reply, outcome, first, second)
      n, values = reply.parts, reply.values
    end
  end
  count(sale.counts, PURCHASED, purchased)
  reply.parts, reply.values, reply.is_placed = n, values, true
  sale.user_values = sale.writes
end

-- One command of a run with which something more is: its sale has several shards, or its worker takes it for one of those. The
-- reply, its details, and what it has received.
local function reply_to(keys, sale, run, epoch)
  local at, shards = sale.at, sale.shards
  local index = run.indexes[at]
  local user = not run.is_of_codes and run.users[at]
  local is_loan = user and nonce_of(run, at) == LOAN
  if is_loan and not shards then return NOT_LISTED end
  if shards and not is_loan and (to_number(index) - 1) % shards ~= sale.shard then return MISPLACED, shards end
  if not user then return redeem(sale, run, index, run.users == RELEASES) end
  local addition = run.additions ~= '' and run.additions[at] or ''
  local received
  if shards and addition ~= '' then received = receive(keys, sale, run, user, addition) end
  local outcome, first, second
  if is_loan then
    outcome = lend(sale, run, index, user)
  else
    outcome, first, second = checkout(sale, run, index, user, byte(addition) == LAST_WORD)
  end
  if received and outcome ~= HELD and outcome ~= LENT then
    change_user(sale, run, user, sale.user_changed[user] or run.entries[at] or NO_HOLDS)
  end
  if is_loan then return outcome, to_number(epoch), rights_rows(sale, run, user), received end
  return outcome, first, second, received
end

local function decide_each(keys, reply, sale, run, epoch)
  for at = 1, #run.indexes do
    sale.at = at
    local outcome, first, second, received = reply_to(keys, sale, run, epoch)
    if received then add_reply(reply, RECEIVED, received) end
    if received or outcome <= LENT then reply.is_placed = true end
    if outcome < LENT then count(sale.counts, outcome, 1) end
    add_reply(reply, outcome, first, second)
  end
end

-- Of a run on a sale that is not listed here, or that the call may not touch: of that one, and of any but in the first shard,
-- nothing is said. Nor of loans.
local function decide_unlisted(keys, reply, counts, run, current)
  local outcome = run.number < current and SALE_GONE or SALE_UNLISTED
  if run.is_of_codes then outcome = run.users == RELEASES and RELEASE_UNLISTED or CODE_UNLISTED end
  if run.sale == false or shard_of(keys) ~= 0 then outcome = NOT_LISTED end
  if run.sold then return add_alike(reply, counts, outcome, run.sold) end
  for at = 1, #run.indexes do
    local is_loan = not run.is_of_codes and nonce_of(run, at) == LOAN
    add_alike(reply, counts, is_loan and NOT_LISTED or outcome, 1)
  end
end

local function decide_run(keys, reply, run, epoch)
  local sale = run.sale
  if run.sold then
    -- Its items exist, so the sale was opened: see not_before_openings.
    add_alike(reply, sale.counts, sale.closed and SALE_CLOSED or ITEM_SOLD, run.sold)
  elseif sale.shards or run.users == RELEASES or has_loans(run) then
    decide_each(keys, reply, sale, run, epoch)
  elseif run.is_of_codes then
    decide_purchases(reply, sale, run)
  else
    decide_checkouts(reply, sale, run)
  end
end

-- Reads what the commands may need, and sets the time: of all, ms since the Unix epoch; nil: a part of a sale is gone.
local function fetch(runs, sales)
  fetch_items(runs)
  local now = not_before_openings(runs, now_ms())
  set_time(sales, now)
  for _, run in ipairs(runs) do
    if run.sale and not run.sold then fetch_users(run) end
    if is_torn(run, now) then return nil end
  end
  return now
end

local function decide(keys, args)
  bind()
  local columns = unpack_message(args[2])
  local runs = runs_of(columns)
  if not runs then return redis.error_reply('HCBATCH malformed command') end
  local sales, watched_until, epoch, admitted = find_sales(keys, runs)
  local refused = refusal(epoch, admitted, args[3])
  if refused then return refused end
  if columns[2] ~= to_number(epoch) then spell_out_sold(runs, args[1]) end
  local now = fetch(runs, sales)
  if not now then
    -- Not only this batch: without an epoch the shard counts as lost, and is rebuilt from the record.
    call('HDEL', keys[1], 'epoch', 'run')
    return redis.error_reply('HCEPOCH a part of a sale is no longer in this Redis')
  end

  local reply, unlisted, current = new_reply(now), {}, floor(now / columns[1])
  for _, run in ipairs(runs) do
    if run.sale then
      decide_run(keys, reply, run, epoch)
    else
      decide_unlisted(keys, reply, unlisted, run, current)
    end
  end
  reply[1] = struct_pack('>BI4', ARRAY, reply.values)
  local encoded = concat(reply)
  if not reply.is_placed then return { encoded, '' } end

  for _, sale in pairs(sales) do
    if sale then write_sale(sale, watched_until > now) end
  end
  for outcome, number in pairs(unlisted) do call('HINCRBY', prefix_of(keys) .. 'counts:unlisted', outcome, number) end
  return { encoded, call('XADD', keys[2], epoch .. '-*', 'b', args[1], 'r', encoded) }
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
