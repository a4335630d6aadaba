-- Begins dispatches, each by itself: all that one wants, or nothing. First everything is looked
-- at, then everything is taken, so there is nothing to take back.
--
-- KEYS: of each its lock, its claim, its quotas, its reads.
-- ARGV: of each its token; its lease in ms; a letter for each of its keys (l, c, q, r), after a p
--       if it only peeks; and, for each quota, the limit and the window in ms.
--
-- Gives, for each, 0 if it has what it wants and there is nothing else to tell, or one of
--   {'held', odd, values}                     odd: 1 if a quota could not be asked
--   {'busy', ms}
--   {'claim', ms, text, values}
--   {'full', odd, place, ms, values}
--   {'wrong', error}
--
-- All writes that may be refused (no memory, a replica) come as the first write or not at all, so
-- a refused batch has changed nothing. That is why reads are protected calls and writes are not.

local LEAST = -9007199254740992

local function get(key)
  local found = redis.pcall('GET', key)
  if type(found) == 'table' then
    return nil, found.err
  end
  return found
end

-- A limit is below 2^53 and larger counts are never below it, rounded or not.
local function count(key)
  local found = get(key)
  if found == false then
    return 0
  end
  if found and (found == '0' or string.match(found, '^-?[1-9]%d*$')) then
    local number = tonumber(found)
    return number >= LEAST and number or nil
  end
end

local function lease(key, value, ms)
  if ms == '0' then
    redis.call('DEL', key)
  else
    redis.call('SET', key, value, 'PX', ms)
  end
end

local function begin(one)
  if one.l then
    local holder, wrong = get(one.l)
    if wrong then
      return {'wrong', wrong}
    elseif holder and holder ~= one.token then
      return {'busy', redis.call('PTTL', one.l)}
    end
  end
  local values = {}
  for place, key in ipairs(one.r) do
    local found, wrong = get(key)
    if wrong then
      return {'wrong', wrong}
    end
    values[place] = found
  end
  local mine = 'pending:' .. one.token
  if one.c then
    local found, wrong = get(one.c)
    if wrong then
      return {'wrong', wrong}
    elseif found and found ~= mine then
      return {'claim', redis.call('PTTL', one.c), found, values}
    end
  end
  local odd, room = 0, {}
  for place, quota in ipairs(one.q) do
    local number = count(quota.key)
    if not number then
      odd = 1
    elseif number >= tonumber(quota.limit) then
      return {'full', odd, place - 1, redis.call('PTTL', quota.key), values}
    else
      room[#room + 1] = quota
    end
  end
  if not one.peek then
    if one.l then
      lease(one.l, one.token, one.lease)
    end
    if one.c then
      lease(one.c, mine, one.lease)
    end
    for _, quota in ipairs(room) do
      if quota.window ~= '0'
        and not redis.call('SET', quota.key, '1', 'NX', 'PX', quota.window) then
        redis.call('INCRBY', quota.key, 1)
      end
    end
  end
  if odd == 0 and #one.r == 0 then
    return 0
  end
  return {'held', odd, values}
end

local answers = {}
local key, arg = 0, 0
while arg < #ARGV do
  local one = {token = ARGV[arg + 1], lease = ARGV[arg + 2], q = {}, r = {}}
  local letters = ARGV[arg + 3]
  arg = arg + 3
  for letter in string.gmatch(letters, '.') do
    if letter == 'p' then
      one.peek = true
    else
      key = key + 1
      if letter == 'q' then
        one.q[#one.q + 1] = {key = KEYS[key], limit = ARGV[arg + 1], window = ARGV[arg + 2]}
        arg = arg + 2
      elseif letter == 'r' then
        one.r[#one.r + 1] = KEYS[key]
      else
        one[letter] = KEYS[key]
      end
    end
  end
  answers[#answers + 1] = begin(one)
end
return answers
