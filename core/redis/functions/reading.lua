--[[
The state of sales, items and the log, for pages, the board, health and the audit.

sale_state ARGV: sale. Returns {sale's field or false, sold, held, now_ms}. Drops counts of holds of past seconds.
watch ARGV: sale, since, offset, bytes. Has the changes of all sales noted for the next seconds. Returns {sale's field or
  false, now_ms, since, end, changes}: the changes noted from the offset on, at most so many bytes, and how many there are.
  With another `since` than given the changes are not those that follow: read all items, then go on from `end`.
log_state: Returns {now_ms, log entries, last id, ms when the oldest log entry was decided or false, persister's hash
  (flat), {epoch or false, admitted run or false, record's id or false, history or false}}.
item_entries ARGV: sale, first index, count (at most 8,000), step (1 if absent). Returns {sale's field or false, now_ms,
  entries}: of each index the item's entry, or false where nobody touched the item.
sale_counts ARGV: sale. Returns {sale's field or false, counts (flat)}.
audit_sale ARGV: sale. Returns {now_ms, last id, field, items, users, counts} (the last three flat lists), one moment.
]]

local WATCH_MS = 10000 -- changes are noted for so long after somebody watched
local CHANGES_BYTES_MAX = 4194304 -- of one sale: then its watchers have to read all items again

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
    call('HMGET', keys[1], 'epoch', 'run', 'record', 'history'),
  }
end

local function item_entries(keys, args)
  bind()
  local field = call('HGET', keys[1], args[1])
  if not field then return { false, now_ms(), {} } end
  local indexes = {}
  local step = args[4] or 1
  for n = 1, to_number(args[3]) do indexes[n] = format('%d', args[2] + (n - 1) * step) end
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

redis.register_function('@LIBRARY@_sale_state', sale_state)
redis.register_function('@LIBRARY@_watch', watch)
redis.register_function({ function_name = '@LIBRARY@_log_state', callback = log_state, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_item_entries', callback = item_entries, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_sale_counts', callback = sale_counts, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_audit_sale', callback = audit_sale, flags = { 'no-writes' } })
