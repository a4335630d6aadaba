-- Settles dispatches, each by itself: the claim ends, the lock is released.
--
-- KEYS: of each its lock, its claim.
-- ARGV: of each its token; a letter for each of its keys (l, c); the text that the claim gets,
--       nothing to remove it; for how many ms, nothing for ever.
--
-- Gives, for each, 1 if all that it names was held, else 0.

local function is(key, value)
  return redis.pcall('GET', key) == value
end

local function settle(token, lock, claim, text, ms)
  local settled = 1
  if claim and is(claim, 'pending:' .. token) then
    -- A server out of memory refuses SET, unless the script has written before; and what was
    -- begun must find its end.
    redis.call('DEL', claim)
    if text ~= '' and ms == '' then
      redis.call('SET', claim, text)
    elseif text ~= '' and ms ~= '0' then
      redis.call('SET', claim, text, 'PX', ms)
    end
  elseif claim then
    settled = 0
  end
  if lock and is(lock, token) then
    redis.call('DEL', lock)
  elseif lock then
    settled = 0
  end
  return settled
end

local answers = {}
local key = 0
for arg = 1, #ARGV, 4 do
  local lock, claim
  if string.find(ARGV[arg + 1], 'l', 1, true) then
    key = key + 1
    lock = KEYS[key]
  end
  if string.find(ARGV[arg + 1], 'c', 1, true) then
    key = key + 1
    claim = KEYS[key]
  end
  answers[#answers + 1] = settle(ARGV[arg], lock, claim, ARGV[arg + 2], ARGV[arg + 3])
end
return answers
