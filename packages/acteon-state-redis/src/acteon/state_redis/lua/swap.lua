-- Changes an entry from one value to another. KEYS: the entry. ARGV: + and the expected value, or
-- - for none; + and the new value, or - to remove it; its ms, nothing for ever.
-- Gives 1 if it was changed, else 0.

local found = redis.call('GET', KEYS[1])
if (found and '+' .. found or '-') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '-' or ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then
  redis.call('SET', KEYS[1], string.sub(ARGV[2], 2))
else
  redis.call('SET', KEYS[1], string.sub(ARGV[2], 2), 'PX', ARGV[3])
end
return 1
