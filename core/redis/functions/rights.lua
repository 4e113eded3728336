--[[
A buyer's limit in a sale of several shards. Item i belongs to shard (i - 1) mod shards. The limit is dealt out as rights (a
bounded counter: Balegas et al. 2015): a shard begins with floor(limit / shards), and one more if (shard - home) mod shards <
limit mod shards, where home = the first 8 hex digits of SHA-1(user) mod shards. It grants only while used < rights =
base + got - lent, where used are live holds and purchases in that shard. Totals only grow and a receiver takes the
greatest that it hears of, so every message about them may be lost, repeated or late. core/rights.ts computes the same.

A user's entry has in such a sale, behind purchases and holds: 9 bytes for each other shard that has lent or got a right
(1 the shard, 2-5 rights lent to it, 6-9 rights got from it, both counted from the beginning), in the order of the shards,
and then one byte: how many shards these are.
]]

local RIGHT_BYTES = 9
local RIGHTS_MAX = 4294967295 -- in four bytes
local NO_RIGHTS = '\0'

-- A user's entry in a sale of several shards, in its two parts: purchases and holds, and rights.
local function split_rights(entry)
  local bytes = byte(entry, -1) * RIGHT_BYTES
  if bytes == 0 then return sub(entry, 1, -2), '' end
  return sub(entry, 1, -2 - bytes), sub(entry, -1 - bytes, -2)
end

local function join_rights(entry, rights)
  return entry .. rights .. string.char(#rights / RIGHT_BYTES)
end

-- What was lent to each other shard and got from it: two maps without zeros.
local function parse_rights(rights)
  local lent, got = {}, {}
  for at = 1, #rights, RIGHT_BYTES do
    local peer = byte(rights, at)
    lent[peer], got[peer] = struct_unpack('>I4', rights, at + 1), struct_unpack('>I4', rights, at + 5)
  end
  return lent, got
end

-- The same of a user's entry. Of one that is not there, nothing.
local function moved_totals(entry)
  if not entry then return {}, {} end
  local _, rights = split_rights(entry)
  return parse_rights(rights)
end

local function pack_rights(lent, got, shards)
  local parts = {}
  for peer = 0, shards - 1 do
    local to, from = lent[peer] or 0, got[peer] or 0
    if to > 0 or from > 0 then parts[#parts + 1] = struct_pack('>I1I4I4', peer, to, from) end
  end
  return table.concat(parts)
end

-- Where the totals of a peer stand, or would stand; whether they do; rights lent to it and got from it.
local function right_of(rights, peer)
  for at = 1, #rights, RIGHT_BYTES do
    local there = byte(rights, at)
    if there == peer then return at, true, struct_unpack('>I4', rights, at + 1), (struct_unpack('>I4', rights, at + 5)) end
    if there > peer then return at, false, 0, 0 end
  end
  return #rights + 1, false, 0, 0
end

-- The rights after so many more were lent to a peer, and so many more got from it.
local function with_moved(rights, peer, lent_more, got_more)
  local at, is_there, lent, got = right_of(rights, peer)
  local totals = struct_pack('>I1I4I4', peer, lent + lent_more, got + got_more)
  return sub(rights, 1, at - 1) .. totals .. sub(rights, is_there and at + RIGHT_BYTES or at)
end

-- How many more were got than lent.
local function moved_here(rights)
  local more = 0
  for at = 1, #rights, RIGHT_BYTES do
    more = more - struct_unpack('>I4', rights, at + 1) + struct_unpack('>I4', rights, at + 5)
  end
  return more
end

local function home_of(user, shards)
  return to_number(sub(sha1hex(user), 1, 8), 16) % shards
end
