-- Counts one more in a window unless it is full. KEYS: the window. ARGV: the limit, below 2^53;
-- the window in ms. Gives 1 if it was counted, else 0, and the ms left, negative if none is open.

local found = redis.call('GET', KEYS[1])
local number = found and (found == '0' or string.match(found, '^-?[1-9]%d*$')) and tonumber(found)
if found and not number then
  return redis.error_reply('ERR value is not an integer')
end
local left = redis.call('PTTL', KEYS[1])
if (number or 0) >= tonumber(ARGV[1]) then
  return {0, left}
elseif found then
  redis.call('INCRBY', KEYS[1], 1)
elseif ARGV[2] ~= '0' then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
end
return {1, left}
