-- Sets what is spent of all budgets of one thing, in the periods that run.

local spent = number()
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local raw = redis.call('HMGET', key, 's', 'b')
  if raw[1] then
    redis.call('HSET', key, 's', whole(spent), 'b', whole(raw[2] + spent - raw[1]), 'g', whole(micros))
  else
    redis.call('SREM', KEYS[1], key)
  end
end
return {1}
