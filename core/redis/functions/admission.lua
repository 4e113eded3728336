--[[
Which run of Redis may decide, and from which state: see "Who may decide" in shared.lua.

claim_epoch ARGV: epoch (at least 1), run, record's id. Where nothing is yet, begins the epoch and admits the run. Returns
  the epoch in force.
admit ARGV: epoch, run, record's id, new epoch ('' or absent: none), last entry, (shard, epoch)*. Admits the run, and begins
  the new epoch, unless the epoch is another one, or the record is, or with a new epoch the last entry of the log: then
  HCEPOCH. From then on nothing counts that those shards have said in an older epoch than these.
fence ARGV: epoch. Takes the epoch and the admitted run away, if that is the epoch in force: nothing is decided from here.
rebuild_begin ARGV: token, record's id. Drops everything but the functions; from here only this token may write. A token
  that a later one has replaced is refused with HCREBUILD, by all of these.
rebuild_sale ARGV: token, sale, opens_ms, closes_ms, items, limit, hold_ms, ttl_s, shards. Lists a sale, with nothing in it.
rebuild_put ARGV: token, sale, items | users | counts | holds | lapsed, then fields and values (of lapsed: nonces).
rebuild_end ARGV: token, epoch, run, (shard, epoch)*. Begins the epoch and admits the run; the rest as in admit.
keep ARGV: interval | shards, value, lease_ms. Keeps the value of that setting for so long, unless another one is kept.
  Returns the value that is kept.
The rights between this shard and another one that is about to be admitted:
accept_from ARGV: run, shard, epoch. From now on nothing counts that the shard has said in an older epoch. Refused as decide.
  Returns {this shard's epoch, numbers of the listed sales that the other shard has a part in}.
rights_with ARGV: run, sale, shard, cursor, count. Refused as decide, but for '-' as run. Returns {cursor, (user, got from
  it, lent to it)*}: those users with whom it has to do, some at a time, as HSCAN does. None of a sale of one shard.
rights_lacking ARGV: sale, shard, (user, lent to it, got from it)*. Returns those of whom less is known here, with 1 where it is
  of what was got, else 0: (user, 1 or 0)*. None of a sale that is not listed with several shards.
rights_restore ARGV: run, sale, shard, (user, lent to it, got from it)*. Raises what is known to at least these totals;
  only of a run that is not admitted. Returns 0 where the sale is not listed with several shards.
relist ARGV: run, sale, field. Lists a sale as another shard does, unless it is listed; only of a run that is not admitted.
missing_rights: Returns the names of the commands in all these files that the caller may not use on these keys.
]]

-- Only a replica that is promoted gives it another name that goes on with the one before: see standing.ts.
local function history()
  return match(call('INFO', 'replication'), 'master_replid:(%x+)') or ''
end

local function begin_epoch(keys, epoch, run)
  -- The first entry of an epoch would get the seq 0. Positions count from 1 (0 is "before the first"), so 0 is used up
  -- here. It also makes a log that is ahead of this epoch refuse it, before anything else is written.
  call('XDEL', keys[2], call('XADD', keys[2], epoch .. '-0', 'e', ''))
  call('HSET', keys[1], 'epoch', epoch, 'run', run, 'history', epoch .. ':' .. history())
end

-- Pairs of shard and epoch from the argument `first` on.
local function accept(keys, args, first)
  for at = first, #args, 2 do
    local field = 'oldest:' .. args[at]
    local known = to_number(call('HGET', keys[1], field) or 0)
    if to_number(args[at + 1]) > known then call('HSET', keys[1], field, args[at + 1]) end
  end
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
  if args[4] and args[4] ~= '' then
    -- Postgres was told where the epoch before ends. Nobody else may have let it go on since.
    if last_id(keys[2]) ~= args[5] then
      return redis.error_reply('HCEPOCH the log of Redis went on while it was compared with Postgres')
    end
    begin_epoch(keys, args[4], args[2])
  end
  call('HSET', keys[1], 'run', args[2], 'record', args[3])
  accept(keys, args, 6)
  return 1
end

local function fence(keys, args)
  bind()
  if call('HGET', keys[1], 'epoch') ~= args[1] then return 0 end
  call('HDEL', keys[1], 'epoch', 'run', 'history')
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
  call('HSET', keys[1], args[2], terms_field(args, 3, args[9]))
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

-- What was put back has to stay: see is_torn.
local function note_rebuilt(keys)
  local fields = call('HGETALL', keys[1])
  for at = 1, #fields, 2 do
    if match(fields[at], '^%d+$') then
      local _, _, _, _, _, shards, expire_at = parse_terms(fields[at + 1])
      local key = prefix_of(keys) .. 'sale:' .. fields[at] .. ':'
      if shards > 1 and call('EXISTS', key .. 'items', key .. 'users', key .. 'counts') == 3 then
        note_hold(keys[1], key, expire_at)
      end
    end
  end
end

local function rebuild_end(keys, args)
  bind()
  local refused = replaced(keys, args[1])
  if refused then return refused end
  note_rebuilt(keys)
  begin_epoch(keys, args[2], args[3])
  call('HDEL', keys[1], 'rebuild')
  accept(keys, args, 4)
  return 1
end

local function keep(keys, args)
  bind()
  local now, lease = now_ms(), to_number(args[3])
  local kept, kept_until = match(call('HGET', keys[1], args[1]) or '', '^(%d+):(%d+)$')
  local left = to_number(kept_until or 0) - now
  if left <= 0 then kept = args[2] end
  -- More than a lease: the clock has stepped back, and whoever keeps it has another one to say so again.
  if left > lease or kept == args[2] and left < lease / 2 then
    call('HSET', keys[1], args[1], kept .. ':' .. format('%d', now + lease))
  end
  return to_number(kept)
end

local function accept_from(keys, args)
  bind()
  local epoch, admitted = unpack_list(call('HMGET', keys[1], 'epoch', 'run'))
  local refused = refusal(epoch, admitted, args[1])
  if refused then return refused end
  accept(keys, args, 2)
  local sales, shard = {}, to_number(args[2])
  local fields = call('HGETALL', keys[1])
  for at = 1, #fields, 2 do
    if match(fields[at], '^%d+$') then
      local _, _, _, _, _, shards = parse_terms(fields[at + 1])
      if shards > shard and shards > 1 then sales[#sales + 1] = to_number(fields[at]) end
    end
  end
  return { to_number(epoch), sales }
end

-- Of a listed sale; of one that isn't 1, as of all whose users have no rights elsewhere.
local function listed_shards(field)
  if not field then return 1 end
  local _, _, _, _, _, shards, expire_at = parse_terms(field)
  return shards, expire_at
end

-- The user's entry in a sale, as it is with those totals.
local function with_totals(entry, peer, lent_to, got_from, shards)
  local own, rights = NO_HOLDS, ''
  if entry then own, rights = split_rights(entry) end
  local lent, got = parse_rights(rights)
  lent[peer] = math.max(lent[peer] or 0, lent_to)
  got[peer] = math.max(got[peer] or 0, got_from)
  return join_rights(own, pack_rights(lent, got, shards))
end

local function rights_lacking(keys, args)
  bind()
  if listed_shards(call('HGET', keys[1], args[1])) == 1 then return {} end
  local key = prefix_of(keys) .. 'sale:' .. args[1] .. ':users'
  local peer = to_number(args[2])
  local found = {}
  for at = 3, #args, 3 do
    local lent, got = moved_totals(call('HGET', key, args[at]))
    local lacks_got = to_number(args[at + 2]) > (got[peer] or 0)
    if lacks_got or to_number(args[at + 1]) > (lent[peer] or 0) then
      found[#found + 1] = args[at]
      found[#found + 1] = lacks_got and 1 or 0
    end
  end
  return found
end

-- Why what a run needs before it is admitted may not be written; nil when it may.
local function too_late(admitted, run)
  if admitted == run then return redis.error_reply('HCEPOCH this run was admitted meanwhile') end
end

local function rights_restore(keys, args)
  bind()
  local admitted, field = unpack_list(call('HMGET', keys[1], 'run', args[2]))
  local refused = too_late(admitted, args[1])
  if refused then return refused end
  local shards, expire_at = listed_shards(field)
  if shards == 1 then return 0 end
  local key = prefix_of(keys) .. 'sale:' .. args[2] .. ':users'
  local peer = to_number(args[3])
  for at = 4, #args, 3 do
    local entry = call('HGET', key, args[at])
    call('HSET', key, args[at], with_totals(entry, peer, to_number(args[at + 1]), to_number(args[at + 2]), shards))
  end
  call('EXPIREAT', key, expire_at, 'NX')
  return 1
end

local function relist(keys, args)
  bind()
  local admitted, field = unpack_list(call('HMGET', keys[1], 'run', args[2]))
  local refused = too_late(admitted, args[1])
  if refused then return refused end
  if not field then call('HSET', keys[1], args[2], args[3]) end
  return 1
end

local function rights_with(keys, args)
  bind()
  local epoch, admitted, field = unpack_list(call('HMGET', keys[1], 'epoch', 'run', args[2]))
  local refused = args[1] ~= '-' and refusal(epoch, admitted, args[1])
  if refused then return refused end
  if listed_shards(field) == 1 then return { '0' } end
  local peer = to_number(args[3])
  local key = prefix_of(keys) .. 'sale:' .. args[2] .. ':users'
  local cursor, fields = unpack_list(call('HSCAN', key, args[4], 'COUNT', args[5]))
  local found = { cursor }
  for at = 1, #fields, 2 do
    local lent, got = moved_totals(fields[at + 1])
    if lent[peer] then
      found[#found + 1] = fields[at]
      found[#found + 1] = got[peer]
      found[#found + 1] = lent[peer]
    end
  end
  return found
end

-- Whole calls, because newer engines check the number of arguments before the right. #: the hash of sales; @: the log.
local COMMANDS = {
  'APPEND # v', 'DEL #', 'EXISTS #', 'EXPIREAT # 1 NX', 'GETRANGE # 0 0', 'HDEL # f', 'HGET # f', 'HGETALL #',
  'HINCRBY # f 1', 'HKEYS #', 'HMGET # f', 'HSCAN # 0', 'HSET # f v', 'INFO replication', 'SADD # m', 'SISMEMBER # m',
  'STRLEN #', 'TIME', 'UNLINK #', 'XADD @ * f v', 'XDEL @ 0-1', 'XINFO STREAM @', 'XLEN @', 'XRANGE @ - +',
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
redis.register_function('@LIBRARY@_keep', keep)
redis.register_function('@LIBRARY@_accept_from', accept_from)
redis.register_function('@LIBRARY@_rights_restore', rights_restore)
redis.register_function('@LIBRARY@_relist', relist)
redis.register_function({ function_name = '@LIBRARY@_rights_lacking', callback = rights_lacking, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_rights_with', callback = rights_with, flags = { 'no-writes' } })
redis.register_function({ function_name = '@LIBRARY@_missing_rights', callback = missing_rights, flags = { 'no-writes' } })
