--[[
Which run of Redis may decide, and from which state: see "Who may decide" in shared.lua.

claim_epoch ARGV: epoch (at least 1), run, record's id. Where nothing is yet, begins the epoch and admits the run. Returns
  the epoch in force.
admit ARGV: epoch, run, record's id. Admits the run, unless the epoch is another one or the record is: then HCEPOCH.
fence ARGV: epoch. Takes the epoch and the admitted run away, if that is the epoch in force: nothing is decided from here.
rebuild_begin ARGV: token, record's id. Drops everything but the functions; from here only this token may write. A token
  that a later one has replaced is refused with HCREBUILD, by all of these.
rebuild_sale ARGV: token, sale, opens_ms, closes_ms, items, limit, hold_ms, ttl_s. Lists a sale, with nothing in it.
rebuild_put ARGV: token, sale, items | users | counts | holds | lapsed, then fields and values (of lapsed: nonces).
rebuild_end ARGV: token, epoch, run. Begins the epoch and admits the run.
keep_interval ARGV: interval_ms, lease_ms. Keeps the interval between sales for so long, unless another one is kept.
  Returns the interval that is kept.
missing_rights: Returns the names of the commands in all these files that the caller may not use on these keys.
]]

local function begin_epoch(keys, epoch, run)
  -- The first entry of an epoch would get the seq 0. Positions count from 1 (0 is "before the first"), so 0 is used up
  -- here. It also makes a log that is ahead of this epoch refuse it, before anything else is written.
  call('XDEL', keys[2], call('XADD', keys[2], epoch .. '-0', 'e', ''))
  call('HSET', keys[1], 'epoch', epoch, 'run', run)
end

local function claim_epoch(keys, args)
  bind()
  local epoch, record_id = unpack_list(call('HMGET', keys[1], 'epoch', 'record'))
  if not epoch and not record_id and call('EXISTS', keys[2]) == 0 then
    begin_epoch(keys, args[1], args[2])
    if args[3] ~= '' then call('HSET', keys[1], 'record', args[3]) end
  end
  return call('HGET', keys[1], 'epoch')
end

local function admit(keys, args)
  bind()
  local epoch, record_id = unpack_list(call('HMGET', keys[1], 'epoch', 'record'))
  if epoch ~= args[1] or record_id and record_id ~= args[3] then
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

redis.register_function('@LIBRARY@_claim_epoch', claim_epoch)
redis.register_function('@LIBRARY@_admit', admit)
redis.register_function('@LIBRARY@_fence', fence)
redis.register_function('@LIBRARY@_rebuild_begin', rebuild_begin)
redis.register_function('@LIBRARY@_rebuild_sale', rebuild_sale)
redis.register_function('@LIBRARY@_rebuild_put', rebuild_put)
redis.register_function('@LIBRARY@_rebuild_end', rebuild_end)
redis.register_function('@LIBRARY@_keep_interval', keep_interval)
redis.register_function({ function_name = '@LIBRARY@_missing_rights', callback = missing_rights, flags = { 'no-writes' } })
