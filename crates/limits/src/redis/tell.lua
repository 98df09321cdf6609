-- Hears what an owner says of one budget or gate, outside of any call: what ended, and that it lives.
-- Answers 1, what is to be known of it, and how many calls of others wait; or 3 where a later life has spoken.

local count = load_held(KEYS[1], statement())
if not hear(count) then return {3} end
store_held(count)
return {1, count.e, count.g, count.b, count.w - count.said.waiting}
