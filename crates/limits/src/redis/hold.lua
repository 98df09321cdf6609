-- Takes what one call needs of all its counts, or of none; or fits what a call holds to one more attempt of it.
-- Answers with a code first: 0 refused, 1 granted, 2 later (others hold it), 3 stale (a later life or epoch has spoken),
-- 4 too early.

local fits, free = number() == 1, number() == 1
local input, price, cap, least_output = number(), number(), number(), number()

local function cost(tokens)
  return input + math.ceil(price * tokens / 1000000)
end

-- The tokens of output that so much money covers.
local function covered(money)
  if money < input then return 0 end
  if price == 0 then return cap end
  local tokens = math.min(math.floor((money - input) * 1000000 / price), 2 ^ 53)
  while tokens > 0 and cost(tokens) > money do tokens = tokens - 1 end
  return tokens
end

local counts, rules, early = {}, {}, false
for i = 1, #KEYS do
  local key = KEYS[i]
  local rule = {kind = text(), limit = number(), amount = number(), had = number() == 1}
  if rule.kind == 'm' or rule.kind == 'p' then
    local said = statement()
    rule.lent, rule.held, rule.spent, rule.expected, rule.usual = number(), number(), number(), number(), number()
    rule.first = number() == 1
    early = early or (rule.kind == 'm' and not free and now < ready)
    if not counts[key] then
      counts[key] = load_held(key, said)
      if not hear(counts[key]) then return {3} end
    end
  else
    local span, ends = number(), number()
    if not counts[key] then counts[key] = load_window(key, span, ends) end
  end
  rule.count = counts[key]
  rules[i] = rule
end

local function store()
  for _, count in pairs(counts) do
    if count.row then store_held(count) end
  end
end

local function refuse(code, i, taken, resets)
  store()
  return {code, i - 1, taken, resets}
end

local function resets(count)
  local ends = count.ends or count.e
  return ends > 0 and math.max(ends - now, 0) or -1
end

if early then return refuse(4, 1, 0, -1) end

-- === what budgets offer ===

local function amount(rule, tokens)
  if rule.expected >= 0 then tokens = math.min(tokens, rule.expected) end
  return math.max(cost(tokens), 1)
end

local function least_of(limit)
  if least_output >= cap then return cap end
  return math.max(1, math.min(least_output, math.floor(covered(limit) / 16)))
end

-- What may be held besides what others hold; what the owner has in reserve is its own, and so is what the call holds
-- as far as it is not spent.
local function room(rule)
  local count = rule.count
  local left, others = math.max(0, rule.limit - count.s), count.n
  if rule.held > 0 then others = others - 1 end
  if others >= LAST_CALLS then left = math.floor(left / 2) end
  return math.max(0, math.max(0, left - (count.h - rule.lent)) + rule.held - rule.spent)
end

-- One of several that wait gets no more than an equal share, but well above what answers here usually have.
local function share(rule, room, least)
  if rule.count.w < 2 then return cap end
  return math.min(cap, math.max(covered(math.floor(room / rule.count.w)), rule.usual, least))
end

local function tokens_in(rule, room, least, most)
  if amount(rule, most) <= room then return most end
  local tokens = covered(room)
  if room >= input and tokens >= least then return math.min(tokens, most) end
  if amount(rule, least) <= room then return least end
  return nil
end

-- So many tokens; or nothing now (true), or nothing in this period (false). A call that runs passes those that wait, for
-- they may wait for what it holds.
local function offer(rule)
  local count, least, room = rule.count, least_of(rule.limit), room(rule)
  if fits then return tokens_in(rule, room, least, cap), false end
  if count.s + amount(rule, least) > rule.limit then return nil, false end
  if count.w > 0 and not rule.first then return nil, true end
  return tokens_in(rule, room, least, share(rule, room, least)), true
end

local output, waits = cap, nil
if not free then
  for i, rule in ipairs(rules) do
    if rule.kind == 'm' then
      local tokens, later = offer(rule)
      if tokens then
        output = math.min(output, tokens)
      elseif later then
        waits = waits or i
      else
        return refuse(0, i, rule.count.s + rule.count.h, resets(rule.count))
      end
    end
  end
end
if waits then
  local count = rules[waits].count
  return refuse(2, waits, count.s + count.h, -1)
end

-- === room in rates and gates ===

local asked = {}
for i, rule in ipairs(rules) do
  local count, key = rule.count, rule.count.key
  if rule.had and rule.kind ~= 'm' then
    rule.left = math.max(0, rule.limit - (rule.kind == 'p' and count.n or count.used))
  elseif rule.kind ~= 'm' then
    local taken = (rule.kind == 'p' and count.n or count.used) + (asked[key] or 0)
    if taken + rule.amount > rule.limit then
      return refuse(0, i, taken, rule.kind == 'p' and 1000 or resets(count))
    end
    asked[key] = (asked[key] or 0) + rule.amount
    rule.left = rule.limit - taken - rule.amount
  end
end

-- === all fits ===

local answer, named = {1, output}, {}
for i, rule in ipairs(rules) do
  local count, extra = rule.count, 0
  if rule.kind == 'm' then
    local first = not (free or named[count.key])
    named[count.key] = true
    rule.amount = first and math.max(rule.spent + amount(rule, output), rule.held) or (free and rule.held or 0)
    if first then
      if rule.held == 0 then count.n, count.row.count = count.n + 1, count.row.count + 1 end
      local more = rule.amount - rule.held - rule.lent
      -- A reserve for the time when this server is away: little, nothing where others wait or the wall is near.
      rule.lent, rule.held, rule.spent, count.h = 0, 0, 0, count.h + more
      extra = math.floor(room(rule) / 32)
      if extra < rule.amount or count.w > 0 then extra = 0 end
      count.h, count.row.taken = count.h + extra, count.row.taken + more + extra
    end
    rule.left = math.max(0, rule.limit - count.s - count.h)
  elseif rule.kind == 'p' and not rule.had then
    count.n, count.row.count = count.n + 1, count.row.count + 1
  elseif not rule.had then
    count.used = count.used + rule.amount
  end
  answer[#answer + 1] = rule.left
  answer[#answer + 1] = rule.amount
  answer[#answer + 1] = count.ends or count.e
  answer[#answer + 1] = count.g or 0
  answer[#answer + 1] = count.b or 0
  answer[#answer + 1] = extra
end
for _, count in pairs(counts) do
  if not count.row then store_window(count) end
end
store()
return answer
