--[[
The batch of one call of decide: what its commands are, and what Redis holds of them.

It comes twice. ARGV 1 is the batch as the log keeps it, which is not read here. ARGV 2 says the same in columns, of which some
go to HMGET as they are, msgpack: [interval_ms, epoch, (sale, indexes, nonces, users, additions)*], five values for each run of
commands of one kind on one sale that stand together in the batch.
  indexes    an array; or a number: so many checkouts of items that were sold in `epoch`, of which no more is needed
  nonces     all of them in one string, 16 bytes each
  users      an array; or '': the run are purchases; or '-': they are releases
  additions  '', or an array of what follows the 16 bytes of each nonce: see decide.lua. Of releases without the '-'
In another epoch than that one nothing is known to be sold: then ARGV 1 is read after all.
]]

local NONCE_BYTES = 16
local LOAN = '----------------' -- in the place of a nonce
local LAST_WORD = 33 -- '!'
local PURCHASES, RELEASES = '', '-' -- in the place of users
local RUN_FIRST, RUN_FIELDS = 3, 5 -- of the runs in the columns
local FIRST, FIELDS = 3, 4 -- of the commands in the batch as the log keeps it
local FIRST_SALE_KEY, SALE_KEYS = 5, 6 -- of the keys of a call that names them all: see declaredKeys in keys.ts
local WAS_SOLD = 0 -- in the place of a time
local NONE = {}

local function without_receipt(total)
  return to_number(total) <= RIGHTS_MAX and '' or nil
end

-- Whether that may follow a nonce: perhaps the last word, then receipts, none of them with more rights than an entry holds.
local function is_addition(text)
  local receipts = byte(text) == LAST_WORD and sub(text, 2) or text
  local rest = string.gsub(receipts, ';%d+,%d+,(%d+)', without_receipt)
  return rest == ''
end

-- Of a purchase or a release: '@' and the buyer.
local function is_buyer(text)
  return match(text, '^@.')
end

local function are_additions(additions, count, is_one)
  if #additions ~= count then return false end
  local known = { [''] = true } -- those that were looked at: many are the same
  for n = 1, count do
    local text = additions[n]
    if not known[text] and not is_one(text) then return false end
    known[text] = true
  end
  return true
end

-- Whether the columns of users and additions may stand beside so many indexes.
local function are_users(users, additions, count)
  local is_of_codes = users == PURCHASES or users == RELEASES
  if not is_of_codes and (#users ~= count or concat(users) == '') then return false end
  return additions == '' or are_additions(additions, count, is_of_codes and is_buyer or is_addition)
end

-- The runs of a batch; nil: it isn't whole. Each column is looked at as one: a worker has parsed what stands in it, and columns
-- that have slipped against each other differ in length.
local function runs_of(columns)
  local length = #columns
  if length < RUN_FIRST + RUN_FIELDS - 1 or (length - RUN_FIRST + 1) % RUN_FIELDS ~= 0 then return nil end
  local runs = {}
  for at = RUN_FIRST, length, RUN_FIELDS do
    local number, indexes, nonces, users, additions = unpack_list(columns, at, at + RUN_FIELDS - 1)
    local run = {
      number = number, sale = false, indexes = indexes, nonces = nonces, users = users, additions = additions,
      is_of_codes = false, has_items = false, items = NONE, entries = NONE, rights = NONE, ends = NONE,
    }
    if type_of(indexes) == 'number' then
      run.sold = indexes
    else
      local count = #indexes
      if #nonces ~= NONCE_BYTES * count or not match(concat(indexes), '^%d+$') or not are_users(users, additions, count) then
        return nil
      end
      run.is_of_codes = users == PURCHASES or users == RELEASES
    end
    runs[#runs + 1] = run
  end
  return runs
end

-- The commands of runs of sold items, from the batch as the log keeps it: these items may be free again.
local function spell_out_sold(runs, encoded)
  local batch
  local at = FIRST
  for _, run in ipairs(runs) do
    local count = run.sold or #run.indexes
    if run.sold then
      batch = batch or unpack_message(encoded)
      local indexes, nonces, users = {}, {}, {}
      for n = 1, count do
        local command = at + FIELDS * (n - 1)
        indexes[n], nonces[n], users[n] = batch[command + 1], batch[command + 2], batch[command + 3]
      end
      run.sold, run.indexes, run.nonces, run.users, run.additions = nil, indexes, concat(nonces), users, ''
    end
    at = at + FIELDS * count
  end
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

-- The listed sales that the runs name, which each run gets: number -> working copy, or false if it is listed and not
-- declared. And until when somebody watches, the epoch and the admitted run of Redis.
local function find_sales(keys, runs)
  local sales, fields = {}, { 'epoch', 'run', 'watched_until' }
  for n, run in ipairs(runs) do fields[n + 3] = format('%d', run.number) end
  local found = call('HMGET', keys[1], unpack_list(fields))
  for n, run in ipairs(runs) do
    local number, field = run.number, found[n + 3]
    if field and sales[number] == nil then
      local key = prefix_of(keys) .. 'sale:' .. fields[n + 3] .. ':'
      sales[number] = is_declared(keys, key) and listed_sale(keys, key, field)
    end
    run.sale = sales[number]
    if run.sale and run.users == RELEASES then run.sale.has_releases = true end
  end
  return sales, to_number(found[3] or 0), found[1], found[2]
end

local function has_any(values, count)
  for n = 1, count do
    if values[n] then return true end
  end
  return false
end

-- One call a run, whatever its length. Of what was sold no item is read: it is there.
local function fetch_items(runs)
  for _, run in ipairs(runs) do
    local sale = run.sale
    if run.sold then
      run.has_items = true
    elseif sale then
      run.items = call('HMGET', sale.key .. 'items', unpack_list(run.indexes))
      run.has_items = has_any(run.items, #run.indexes)
    end
  end
end

-- Times inside entries can't be before the sale's opening. So for a batch that names an item which somebody has held, of a
-- sale that is not open (any more: Redis' clock has stepped back), time stands still at the opening.
local function not_before_openings(runs, now)
  for _, run in ipairs(runs) do
    local sale = run.sale
    if sale and run.has_items and sale.opens > now then now = sale.opens end
  end
  return now
end

-- The holders of the items of a run of purchases or releases. Where there is no item its entry is not looked at: any field will
-- do.
local function holders_of(items)
  local holders = {}
  for n = 1, #items do holders[n] = items[n] and sub(items[n], 22) or '' end
  return holders
end

-- Whose entries a run of checkouts needs, and for which of its commands: of those whose item may be had. The items of the
-- others are sold, or others hold them till a time (`ends`), and no command of this batch makes them free: it has no releases.
local function sort_out(items, users, now)
  local wanted, places, ends, count = {}, {}, {}, 0
  for n = 1, #users do
    local item, user = items[n], users[n]
    local till
    if item then
      if byte(item) == SOLD then
        till = WAS_SOLD
      else
        till = time_of(item)
        if till <= now or sub(item, 22) == user then till = nil end
      end
    end
    if till then
      ends[n] = till
    else
      count = count + 1
      wanted[count], places[count] = user, n
    end
  end
  return wanted, places, ends
end

-- The users' entries at these places, as Redis has them.
local function entries_at(places, key, wanted, count)
  if #wanted == 0 then return {} end
  local found = call('HMGET', key, unpack_list(wanted))
  if #wanted == count then return found end
  local entries = {}
  for n = 1, #places do entries[places[n]] = found[n] end
  return entries
end

local function has_loans(run)
  return not run.is_of_codes and string.find(run.nonces, LOAN, 1, true)
end

-- Reads the users' entries that the commands may need: one call a run, or none.
local function fetch_users(run)
  local sale = run.sale
  local key, count = sale.key .. 'users', #run.indexes
  if run.is_of_codes then
    run.holders = holders_of(run.items)
    if run.has_items then run.entries = call('HMGET', key, unpack_list(run.holders)) end
  elseif run.has_items and run.additions == '' and not has_loans(run) and not sale.has_releases then
    local wanted, places
    wanted, places, run.ends = sort_out(run.items, run.users, sale.now)
    run.entries = entries_at(places, key, wanted, count)
  else
    run.entries = call('HMGET', key, unpack_list(run.users))
  end
  if not sale.shards then return end
  local entries, rights = run.entries, {}
  for n = 1, count do
    if entries[n] then entries[n], rights[n] = split_rights(entries[n]) end
  end
  run.rights = rights
end

-- Whether keys of a sale of several shards are gone that were there. Whoever broke off the move of a slot may have left them on
-- another node: every item would look free here. A run that finds an item and a user pays nothing for it, another one a call.
local function is_torn(run, now)
  local sale = run.sale
  if not sale or not sale.shards then return false end
  if not run.sold and run.has_items and has_any(run.entries, #run.indexes) then return false end
  local key = sale.key
  if call('EXISTS', key .. 'items', key .. 'users', key .. 'counts') == 3 then return false end
  -- After their time keys go, and the sale may be listed a while longer.
  return now < to_number(sale.expire_at) * 1000 and call('HGET', sale.list, note_of(key)) ~= false
end
