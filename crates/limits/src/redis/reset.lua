-- Sets what is spent of the own budget of one thing in the period that runs; its others have no more than that.

local spent, own = number(), text()
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local raw = redis.call('HMGET', key, 's', 'b')
  if raw[1] then
    redis.call('HDEL', key, 'c')
    local to = key == own and spent or math.min(spent, tonumber(raw[1]))
    redis.call('HSET', key, 's', to, 'b', raw[2] + to - raw[1], 'g', micros)
  else
    redis.call('SREM', KEYS[1], key)
  end
end
return {1}
