-- What wrk sends: POST /checkout, each of a buyer by chance. Arguments after `--`: fresh|sold SALE ITEMS FIRST USERS SEED
-- fresh: each item of the stock once, in a scattered order that begins at the FIRST-th. sold: items 1 to ITEMS by chance.
-- Its one line of output is JSON; times in it are microseconds.

local random = math.random
local threads = {}

-- Coprime to every stock without a factor of 7, so that no item comes twice.
local stride = 5764801

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local kind, sale = args[1], args[2]
  local items, first, users = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  math.randomseed(tonumber(args[6]))
  asked = 0
  local head, middle = 'POST /checkout?user_id=user-', '&id=' .. sale .. '-'
  local tail = ' HTTP/1.1\r\nHost: ' .. wrk.host .. '\r\n\r\n'
  if kind == 'sold' then
    request = function()
      asked = asked + 1
      return head .. random(users) .. middle .. random(items) .. tail
    end
    return
  end
  request = function()
    local item = (first + asked) * stride % items + 1
    asked = asked + 1
    return head .. random(users) .. middle .. item .. tail
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"asked":%d,"answers":%d,"refused":%d,"broken":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d}\n',
    threads[1]:get('asked'), summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)
  ))
end
