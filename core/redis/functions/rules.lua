--[[
The rules: what is decided on one command, and what it changes. `sale.at` is the command's place in its run; what the batch has
changed before it goes before what Redis holds. The order of the rules is the promise of README.md and docs/API.md.
]]

-- How many of the user's rights are here.
local function rights_here(sale, user, moved)
  local shards, limit = sale.shards, sale.limit
  local rights = sale.least
  if (sale.shard - home_of(user, shards)) % shards < limit % shards then rights = rights + 1 end
  return rights + moved_here(moved)
end

-- Whether a right is there for one hold more: the user's entry, then perhaps without what has expired. Or the refusal: the
-- user's rights elsewhere count only if the word isn't the last one, and if there are any.
local function with_room(sale, run, user, entry, is_last_word)
  local limit = sale.limit
  if sale.shards then
    local moved = moved_rights(sale, run, user)
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

-- Whether an item is none of the sale's. Indexes have no leading zeros, so most are told by their length.
local function is_unknown(sale, index)
  if #index < sale.items_digits then return index == '0' end
  local number = to_number(index)
  return number < 1 or number > sale.items_max
end

-- The nonce of the n-th command of a run.
local function nonce_of(run, n)
  return sub(run.nonces, NONCE_BYTES * n - NONCE_BYTES + 1, NONCE_BYTES * n)
end

-- Of an item that nobody has touched, or whose hold is over, or is the user's own.
local function take(sale, run, index, item, user, is_last_word)
  local at = sale.at
  local entry = sale.user_changed[user] or run.entries[at] or NO_HOLDS
  if item then
    local expiry = time_of(item)
    if expiry > sale.now and find_hold(entry, sub(item, 18, 21)) then return HELD_AGAIN, sub(item, 2, 17), expiry - sale.now end
  end
  local refused
  entry, refused = with_room(sale, run, user, entry, is_last_word)
  if refused then return refused end

  -- An expired hold is taken over: its code was real, and must be told from one that never was. Not so a released one: whoever
  -- takes and releases an item again and again would fill the memory with codes.
  if item and time_of(item) ~= RELEASED_TIME then
    local old = sub(item, 2, 17)
    sale.lapsed[old] = true
    sale.lapsed_list[#sale.lapsed_list + 1] = old
  end
  change(sale, run, index, 'h' .. nonce_of(run, at) .. sale.expiry4 .. user, user, with_hold(entry, sale.expiry, sale.expiry4))
  sale.held = sale.held + 1
  return HELD, sale.hold
end

local function checkout(sale, run, index, user, is_last_word)
  if is_unknown(sale, index) then return ITEM_UNKNOWN end
  if sale.closed then return SALE_CLOSED end
  if not sale.open then return SALE_NOT_OPEN end
  local item = sale.item_changed[index] or run.items[sale.at]
  if item then
    if byte(item) == SOLD then return ITEM_SOLD end
    local expiry = time_of(item)
    if expiry > sale.now and sub(item, 22) ~= user then return ITEM_HELD, expiry - sale.now end
  end
  return take(sale, run, index, item, user, is_last_word)
end

-- Whether the command comes with a buyer, and the code is another's.
local function is_of_another(run, at, user)
  local addition = run.additions[at]
  return addition ~= '' and sub(addition, 2) ~= user
end

local OF_PURCHASES = { unknown = CODE_UNKNOWN, expired = CODE_EXPIRED, of_another = CODE_OF_ANOTHER }
local OF_RELEASES = { unknown = RELEASE_UNKNOWN, expired = RELEASE_EXPIRED, of_another = RELEASE_OF_ANOTHER }

-- A purchase or a release. What was released keeps its code in the item's entry until somebody takes the item.
local function redeem(sale, run, index, is_release)
  local at, rejected = sale.at, is_release and OF_RELEASES or OF_PURCHASES
  local changed = sale.item_changed[index]
  local item = changed or run.items[at]
  if not item then return rejected.unknown end
  local nonce = nonce_of(run, at)
  if sub(item, 2, 17) ~= nonce then
    if sale.lapsed[nonce] or call('SISMEMBER', sale.key .. 'lapsed', nonce) == 1 then return rejected.expired end
    return rejected.unknown
  end
  local time, user, now = time_of(item), changed and sub(item, 22) or run.holders[at], sale.now
  if run.additions ~= '' and is_of_another(run, at, user) then return rejected.of_another end
  if byte(item) == SOLD then
    if is_release then return RELEASE_SOLD end
    return PURCHASED_AGAIN, user, now - time
  end
  if is_release and time == RELEASED_TIME then return RELEASED_AGAIN, user end
  if time <= now then return rejected.expired end

  -- The holder's entry was read for this command, unless an earlier one of the batch changed both entries.
  local entry = sale.user_changed[user] or run.entries[at] or NO_HOLDS
  local expiry4 = sub(item, 18, 21)
  local place = find_hold(entry, expiry4)
  if not place then return rejected.expired end
  sale.unheld[expiry4] = (sale.unheld[expiry4] or 0) + 1
  if is_release then
    change(sale, run, index, 'h' .. nonce .. RELEASED4 .. user, user, without_hold(entry, place))
    return RELEASED, user
  end
  change(sale, run, index, 's' .. nonce .. sale.now4 .. user, user, with_purchase(entry, place))
  return PURCHASED, user
end

-- What this shard has lent of a user's rights, and got, by shard.
local function rights_rows(sale, run, user)
  local moved = moved_rights(sale, run, user)
  local rows = sale.rows_of[moved]
  if rows then return rows end
  local lents, gots = {}, {}
  for peer = 0, sale.shards - 1 do
    local _, _, lent, got = right_of(moved, peer)
    lents[peer + 1], gots[peer + 1] = lent, got
  end
  rows = concat(lents, ',') .. ';' .. concat(gots, ',')
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
local function receive(keys, sale, run, user, receipts)
  local moved = moved_rights(sale, run, user)
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
local function lend(sale, run, to, user)
  local peer = to_number(to)
  if peer >= sale.shards or peer == sale.shard then return NOT_LENT end
  local moved = moved_rights(sale, run, user)
  local entry = without_expired(sale.user_changed[user] or run.entries[sale.at] or NO_HOLDS, sale.now)
  if slots_taken(entry) >= rights_here(sale, user, moved) then return NOT_LENT end
  local lent = moved == '' and sale.first_lent[peer] or with_moved(moved, peer, 1, 0)
  if moved == '' then sale.first_lent[peer] = lent end
  sale.rights_changed[user] = lent
  sale.has_moved = true
  change_user(sale, run, user, entry)
  return LENT
end
