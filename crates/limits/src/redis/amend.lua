-- Puts right what was counted in windows: tokens that were foreseen otherwise than they came. A batch that was heard
-- already changes nothing.

local batch, span, ends, parts = number(), number(), number(), number()
local key = KEYS[1]
if tonumber(redis.call('HGET', key, owner) or 0) >= batch then return {1} end
local count = load_window(key, span, ends)
for _ = 1, parts do
  -- The window they were taken in; the whole difference there, else only what was too little.
  local taken_in, difference, excess = number(), number(), number()
  if count.ends == taken_in then
    count.used = math.max(0, count.used + difference)
  else
    count.used = count.used + excess
  end
end
store_window(count)
redis.call('HSET', key, owner, batch)
return {1}
