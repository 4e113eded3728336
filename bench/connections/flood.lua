-- What wrk sends in a flood: POST /checkout on a connection that is closed after the answer, each for another item.
-- Arguments after `--`: SALE AFTER ITEMS USERS, the items being AFTER + 1 to AFTER + ITEMS.
-- Its one line of output is JSON; times in it are microseconds.

local random = math.random
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local after, items, users = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local asked = 0
  local head, middle = 'POST /checkout?user_id=flood-', '&id=' .. args[1] .. '-'
  local tail = ' HTTP/1.1\r\nHost: ' .. wrk.host .. '\r\nConnection: close\r\n\r\n'
  request = function()
    asked = asked + 1
    return head .. random(users) .. middle .. (after + asked % items + 1) .. tail
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answers":%d,"refused":%d,"cut":%d,"unconnected":%d,"late":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d}\n',
    summary.requests, errors.status, errors.read + errors.write, errors.connect, errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)
  ))
end
