--[[
What makes WAIT on one connection cover what was decided on another.

mark ARGV: run. Returns the last id of the log. Refused as decide.

WAIT waits for what its own connection has written last. Redis up to 7.0 takes any command for that; from 7.2 on, and in
Valkey, it is a write that went to the replicas: after a PING, WAIT says at once that all have it. So this writes. Its offset is
behind that of every entry up to the id that it returns. It goes to the replicas alone: in the append-only file it would
cost one more fsync an answer.
]]

local function mark(keys, args)
  bind()
  local epoch, admitted = unpack_list(call('HMGET', keys[1], 'epoch', 'run'))
  local refused = refusal(epoch, admitted, args[1])
  if refused then return refused end
  redis.set_repl(redis.REPL_REPLICA)
  call('HSET', keys[1], 'mark', '1')
  return last_id(keys[2])
end

-- Memory that has run out since the decision is no reason to keep its answer back.
redis.register_function({ function_name = '@LIBRARY@_mark', callback = mark, flags = { 'allow-oom' } })
