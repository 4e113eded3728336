--[[
What is left to settle before shards that have forgotten something are admitted. Each has learnt from those that remember what
they know of its rights. But where two have forgotten a transfer between them, and one of them has passed the right on to a
third that remembers, then that one has fewer rights than purchases and holds, or than none; the other one has its right
again, and would grant what somebody has already. Those that wait have enough between them: what their purchases and live
holds take up now was theirs before. So who is short is given what is free at another that waits. Only two things leave
somebody short. A clock that has stepped back has brought holds to life that a right had left behind when it went on, perhaps in
another shard than the one that is short: they are the first to expire, and are cut off. Or a release was forgotten, and its hold
is alive again: nobody knows which that is, and those that expire first are cut off as well.

rights_short ARGV: run, sale, cursor, count. Cuts off what has expired where it takes up more than the user's rights here.
  Returns {cursor, (user, how many rights are still missing)*} for some users at a time, as HSCAN does.
rights_give ARGV: run, sale, shard, user, count. Lends that shard up to so many of the user's rights that are free. Returns
  {how many, how many it has lent to it since the beginning}.
rights_cut ARGV: run, sale, user, keep ('': all). Cuts off what has expired, and then those holds that expire first, until so
  many are left. Returns when these expire, in their order: ms since the sale opened.
All only of a run that is not admitted. A sale that is not listed with several shards has nothing to settle.
]]

-- The working copy of the sale, with the time. nil: it has nothing to settle; or a refusal.
local function sale_to_settle(keys, run, number)
  local admitted, field = unpack_list(call('HMGET', keys[1], 'run', number))
  local refused = too_late(admitted, run)
  if refused then return nil, refused end
  if not field then return nil end
  local sale = listed_sale(keys, prefix_of(keys) .. 'sale:' .. number .. ':', field)
  if not sale.shards then return nil end
  set_time({ sale }, now_ms())
  return sale
end

local function rights_short(keys, args)
  bind()
  local sale, refused = sale_to_settle(keys, args[1], args[2])
  if refused then return refused end
  if not sale then return { '0' } end
  local key = sale.key .. 'users'
  local cursor, fields = unpack_list(call('HSCAN', key, args[3], 'COUNT', args[4]))
  local found = { cursor }
  for at = 1, #fields, 2 do
    local user = fields[at]
    local stored, moved = split_rights(fields[at + 1])
    local rights = moved == '' and slots_taken(stored) or rights_here(sale, user, moved)
    if slots_taken(stored) > rights then
      local entry = without_expired(stored, sale.now)
      local missing = slots_taken(entry) - rights
      if entry ~= stored then call('HSET', key, user, join_rights(entry, moved)) end
      if missing > 0 then
        found[#found + 1] = user
        found[#found + 1] = missing
      end
    end
  end
  return found
end

local function rights_give(keys, args)
  bind()
  local sale, refused = sale_to_settle(keys, args[1], args[2])
  if refused then return refused end
  local peer, user = to_number(args[3]), args[4]
  if not sale or peer >= sale.shards or peer == sale.shard then return { 0, 0 } end
  local key = sale.key .. 'users'
  local stored = call('HGET', key, user)
  local entry, moved = NO_HOLDS, ''
  if stored then entry, moved = split_rights(stored) end
  entry = without_expired(entry, sale.now)
  local free = rights_here(sale, user, moved) - slots_taken(entry)
  local given = math.max(0, math.min(to_number(args[5]), free))
  local lent, got = parse_rights(moved)
  lent[peer] = (lent[peer] or 0) + given
  if given > 0 then
    call('HSET', key, user, join_rights(entry, pack_rights(lent, got, sale.shards)))
    call('EXPIREAT', key, sale.expire_at, 'NX')
  end
  return { given, lent[peer] }
end

local function rights_cut(keys, args)
  bind()
  local sale, refused = sale_to_settle(keys, args[1], args[2])
  if refused then return refused end
  local key, user = sale and sale.key .. 'users', args[3]
  local stored = sale and call('HGET', key, user)
  if not stored then return {} end
  local entry, moved = split_rights(stored)
  local kept = without_expired(entry, sale.now)
  local held = (#kept - 2) / 4
  kept = sub(kept, 1, 2) .. sub(kept, 3 + 4 * math.max(0, held - (to_number(args[4]) or held)))
  if kept ~= entry then call('HSET', key, user, join_rights(kept, moved)) end
  local ends = {}
  for at = 3, #kept, 4 do ends[#ends + 1] = struct_unpack('>I4', kept, at) end
  return ends
end

redis.register_function('@LIBRARY@_rights_short', rights_short)
redis.register_function('@LIBRARY@_rights_give', rights_give)
redis.register_function('@LIBRARY@_rights_cut', rights_cut)
