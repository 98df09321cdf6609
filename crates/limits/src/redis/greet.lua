-- Greets a server: one that was started anew may have lost what it was told last, so for a while replicas only tell it
-- what they know. Answers its time and when that is over.

local run, grace = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'run', 'ready')
local ready = tonumber(known[2] or 0)
if known[1] ~= run then
  ready = now + grace
  redis.call('HSET', KEYS[1], 'run', run, 'ready', string.format('%.0f', ready))
end
return {now, ready}
