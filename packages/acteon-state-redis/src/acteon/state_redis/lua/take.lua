-- Counts more in a window unless they have no room. KEYS: the window. ARGV: the limit, below 2^53;
-- the window in ms; how many. Gives 1 if they were counted, else 0; the ms left, negative if none
-- is open; and how many are counted now.

local found = redis.call('GET', KEYS[1])
local number = found and (found == '0' or string.match(found, '^-?[1-9]%d*$')) and tonumber(found)
if found and not number then
  return redis.error_reply('ERR value is not an integer')
end
local left = redis.call('PTTL', KEYS[1])
if (number or 0) + tonumber(ARGV[3]) > tonumber(ARGV[1]) then
  return {0, left, found or 0}
elseif found then
  return {1, left, redis.call('INCRBY', KEYS[1], ARGV[3])}
elseif ARGV[2] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
end
return {1, left, ARGV[3]}
