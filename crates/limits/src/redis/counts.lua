-- What the scripts share: the arguments, the time, and the two kinds of counts.
--
-- Numbers are doubles, so money is exact up to 2^53 nano-dollars: nine million dollars a budget.

local LAST_CALLS = 8
local MINUTE, DAY = 60000, 86400000

local place = 0
local function text()
  place = place + 1
  return ARGV[place]
end
local function number()
  place = place + 1
  return tonumber(ARGV[place])
end

-- The server's time decides about windows: the clocks of replicas do not matter.
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

-- Who asks. What it sent before its last loss of contact has an older epoch. Only who was long in contact may judge
-- that others are gone. Before `ready` replicas are still telling what a restarted server has lost.
local owner, epoch, lease, steady, ready = 'o:' .. text(), number(), number(), number() == 1, number()

-- === requests and tokens: used in a window ===

local function load_window(key, span, ends)
  local raw = redis.call('HMGET', key, 'u', 'e')
  local count = {key = key, used = tonumber(raw[1] or 0), ends = tonumber(raw[2] or 0)}
  local next = ends
  if span > 0 then next = now + span end
  if count.used == 0 or (count.ends > 0 and count.ends <= now and (next == 0 or next > now)) then
    count.used, count.ends, count.fresh = 0, next, true
  end
  return count
end

local function store_window(count)
  if not count.fresh then
    redis.call('HSET', count.key, 'u', count.used)
    return
  end
  redis.call('HSET', count.key, 'u', count.used, 'e', count.ends)
  if count.ends > 0 then redis.call('PEXPIREAT', count.key, math.max(count.ends, now) + MINUTE) end
end

-- === parallel calls and money: held by owners ===
--
-- s settled, h held, n running, w waiting: the sums of all. b: what was settled before the rows began to count, so that
-- s = b + what the rows settled. e: the period's end. g: when the budget was first seen. x: no row expires before.
-- c: what the ledger is ahead, see there.
-- A row an owner: what it took (the server adds), and what it says that it released, ended and settled since its life
-- began. Saying so twice, late or out of order changes nothing: these only grow, and of how many wait the latest version
-- counts.

local ROW = string.rep('(%S+) ', 9) .. '(%S+)'

local function row_of(raw)
  if not raw then return nil end
  local life, epoch, taken, released, count, ended, settled, waiting, expires, version = string.match(raw, ROW)
  return {life = tonumber(life), epoch = tonumber(epoch), taken = tonumber(taken), released = tonumber(released),
    count = tonumber(count), ended = tonumber(ended), settled = tonumber(settled), waiting = tonumber(waiting),
    expires = tonumber(expires), version = tonumber(version)}
end

-- By itself Lua writes large numbers with an exponent, which loses digits; redis.call does not.
local TEXT = string.rep('%.0f ', 9) .. '%.0f'

local function row_text(row)
  return string.format(TEXT, row.life, row.epoch, row.taken, row.released, row.count, row.ended, row.settled,
    row.waiting, row.expires, row.version)
end

-- What an owner says of itself and of the count.
local function statement()
  return {index = text(), ends = number(), seed = number(), news = number(), keep = number(), born = number(),
    base = number(), known_ends = number(), life = number(), settled = number(), released = number(), ended = number(),
    held = number(), running = number(), waiting = number(), version = number()}
end

local function lose(count, row)
  count.h = count.h - (row.taken - row.released)
  count.n = count.n - (row.count - row.ended)
  count.w = count.w - row.waiting
end

-- Takes back what owners hold that were not heard of for a lease.
local function expire(count)
  if not steady or count.x == 0 or count.x > now then return end
  count.x = 0
  local gone = {}
  local all = redis.call('HGETALL', count.key)
  for i = 1, #all, 2 do
    local field = all[i]
    if string.sub(field, 1, 2) == 'o:' and field ~= owner then
      local row = row_of(all[i + 1])
      if row.expires + DAY < now then
        lose(count, row)
        count.b = count.b + row.settled
        gone[field] = false
      elseif row.expires <= now then
        lose(count, row)
        row.taken, row.count, row.waiting, row.epoch = row.released, row.ended, 0, 0
        gone[field] = row_text(row)
      elseif count.x == 0 or row.expires < count.x then
        count.x = row.expires
      end
    end
  end
  count.gone = gone
end

-- What the ledger has booked is never more than what is taken here, but for what a replica that was killed had not told:
-- its journal comes to the ledger later. Three numbers: by how much the ledger was ahead at least, since when, and what
-- was added here because of that. It may also be ahead of a replica that is about to tell; so it has to be ahead for a
-- while in which all that live have spoken. What running calls hold covers what their attempts have cost.
local SETTLES, FLIGHT = 10000, 2000

local function ahead_of(raw)
  local n = {}
  for word in string.gmatch(raw or '', '%S+') do n[#n + 1] = tonumber(word) end
  return {by = n[1] or 0, since = n[2] or 0, added = n[3] or 0}
end

local function ahead_text(ahead)
  return string.format('%.0f %.0f %.0f', ahead.by, ahead.since, ahead.added)
end

local function all_spoke(count, since)
  local all = redis.call('HGETALL', count.key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'o:' and all[i] ~= owner then
      local expires = row_of(all[i + 1]).expires
      if expires > now and expires - lease < since + FLIGHT then return false end
    end
  end
  return true
end

local function reconcile(count)
  local said, ahead = count.said, count.ahead
  if said.news == 0 or said.ends ~= count.e or not steady or now < ready then return end
  local by = said.seed - count.s - (count.n > 0 and count.h or 0)
  if by <= 0 then
    -- What was looked up before the last calls of others may only seem to be behind.
    if said.news == 2 then ahead.by, ahead.since = 0, 0 end
  elseif ahead.since == 0 then
    ahead.by, ahead.since = by, now
  else
    ahead.by = math.min(ahead.by, by)
    if now >= ahead.since + SETTLES and all_spoke(count, ahead.since) then
      count.s, count.b, ahead.added = count.s + ahead.by, count.b + ahead.by, ahead.added + ahead.by
      ahead.by, ahead.since = 0, 0
    end
  end
end

-- Puts what the owner says into its row, and the difference into the sums. False where a later life or epoch of it has
-- spoken already.
local function hear(count)
  local said, row = count.said, count.row
  if row and row.expires > now and (row.life > said.life or (row.life == said.life and row.epoch > epoch)) then
    return false
  end
  if row and row.life ~= said.life then
    -- Its predecessor: what that settled stays, what it held comes back.
    lose(count, row)
    count.b = count.b + row.settled
    row = nil
  end
  local before = row or {taken = 0, released = 0, count = 0, ended = 0, settled = 0, waiting = 0, version = 0}
  local after = {life = said.life, epoch = epoch, taken = before.taken, count = before.count,
    released = math.max(before.released, said.released), ended = math.max(before.ended, said.ended),
    settled = math.max(before.settled, said.settled), waiting = before.waiting, version = before.version,
    expires = now + lease}
  if said.version >= before.version then after.waiting, after.version = said.waiting, said.version end
  if not row or row.epoch ~= epoch then
    -- Nobody knows which of its questions arrived: from here on it holds what it says.
    after.released, after.ended = said.released, said.ended
    after.taken, after.count = said.released + said.held, said.ended + said.running
  end
  count.h = count.h + (after.taken - after.released) - (before.taken - before.released)
  count.n = count.n + (after.count - after.ended) - (before.count - before.ended)
  count.w = count.w + after.waiting - before.waiting
  count.renewed = row and math.floor(now / MINUTE) == math.floor((row.expires - lease) / MINUTE)
  local settled = after.settled - before.settled
  count.s = count.s + settled
  if row and row.expires <= now then
    -- Nobody waited for it, so the ledger may have told it before.
    local known = math.min(settled, count.ahead.added)
    count.s, count.b, count.ahead.added = count.s - known, count.b - known, count.ahead.added - known
  end
  count.row = after
  reconcile(count)
  return true
end

local function load_held(key, said)
  local raw = redis.call('HMGET', key, 's', 'h', 'n', 'w', 'e', 'x', 'b', 'g', 'c', owner)
  local knows = said.born > 0 and said.known_ends == said.ends
  local count = {key = key, said = said, ahead = ahead_of(raw[9]), seldom = raw}
  if raw[1] then
    count.s, count.h, count.n, count.w = tonumber(raw[1]), tonumber(raw[2]), tonumber(raw[3]), tonumber(raw[4])
    count.e, count.x, count.b, count.g = tonumber(raw[5]), tonumber(raw[6]), tonumber(raw[7]), tonumber(raw[8])
    count.row = row_of(raw[10])
    if knows and now < ready and count.e == said.ends
      and (said.born < count.g or (said.born == count.g and said.base > count.b)) then
      -- The server lost it, and somebody who knew less made it anew.
      count.s, count.b, count.g = count.s + said.base - count.b, said.base, said.born
    end
  else
    count.b = knows and said.base or said.seed
    count.g = knows and said.born or micros
    -- What was spent in a period that is over says nothing about this one.
    if not knows and said.ends > 0 and said.ends <= now then count.b = 0 end
    count.s, count.h, count.n, count.w, count.e, count.x = count.b, 0, 0, 0, said.ends, 0
    count.fresh = true
  end
  if count.e > 0 and count.e <= now and said.ends > now then
    -- What is held goes over into the new period: it will be spent there.
    count.b, count.s, count.e, count.ahead = count.b - count.s, 0, said.ends, ahead_of(nil)
  end
  expire(count)
  return count
end

local function store_held(count)
  local row = count.row
  if count.x == 0 or row.expires < count.x then count.x = row.expires end
  redis.call('HSET', count.key, 's', count.s, 'h', math.max(count.h, 0), 'n', math.max(count.n, 0), 'w',
    math.max(count.w, 0), owner, row_text(row))
  local ahead, known = ahead_text(count.ahead), count.seldom
  if ahead ~= known[9] or count.e ~= tonumber(known[5]) or count.x ~= tonumber(known[6])
    or count.b ~= tonumber(known[7]) or count.g ~= tonumber(known[8]) then
    redis.call('HSET', count.key, 'e', count.e, 'x', count.x, 'b', count.b, 'g', count.g, 'c', ahead)
  end
  for field, row in pairs(count.gone or {}) do
    if row then redis.call('HSET', count.key, field, row) else redis.call('HDEL', count.key, field) end
  end
  if count.fresh then redis.call('SADD', count.said.index, count.key) end
  -- Once a minute is often enough for what is kept for an hour.
  if count.fresh or not count.renewed then
    redis.call('PEXPIRE', count.key, count.said.keep)
    redis.call('PEXPIRE', count.said.index, count.said.keep)
  end
end
