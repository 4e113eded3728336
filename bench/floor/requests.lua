-- What wrk sends: POST /checkout, each of a buyer by chance. Arguments after `--`: fresh|sold|returned SALE ITEMS FIRST USERS
-- SEED SKIPPED. The items are ITEMS after the first SKIPPED of the sale.
-- fresh: each item once, in a scattered order that begins at the FIRST-th. sold: items by chance.
-- returned: as fresh, and each hold is given back (POST /release) by the next request that is free to do so, in the order of
-- the answers. So an item is free again long before its turn comes again.
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
  local skipped = tonumber(args[7])
  math.randomseed(tonumber(args[6]))
  asked = 0
  local head, middle = 'POST /checkout?user_id=user-', '&id=' .. sale .. '-'
  local tail = ' HTTP/1.1\r\nHost: ' .. wrk.host .. '\r\n\r\n'
  if kind == 'sold' then
    request = function()
      asked = asked + 1
      return head .. random(users) .. middle .. skipped + random(items) .. tail
    end
    return
  end
  local walked = first
  local function checkout()
    local item = skipped + walked * stride % items + 1
    walked = walked + 1
    return head .. random(users) .. middle .. item .. tail
  end
  if kind == 'fresh' then
    request = function()
      asked = asked + 1
      return checkout()
    end
    return
  end
  local codes, oldest, newest = {}, 1, 0
  response = function(status, _, body)
    local code = status == 200 and string.match(body, '"code":"([^"]+)"')
    if code then
      newest = newest + 1
      codes[newest] = code
    end
  end
  request = function()
    asked = asked + 1
    local code = codes[oldest]
    if not code then return checkout() end
    codes[oldest] = nil
    oldest = oldest + 1
    return 'POST /release?code=' .. code .. tail
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
