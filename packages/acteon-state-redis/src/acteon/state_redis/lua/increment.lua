-- Adds to a counter and counts its time anew. KEYS: the counter. ARGV: what to add; its ms.
-- Gives the sum as text: as a number of Lua it would not be exact beyond 2^53.

redis.call('INCRBY', KEYS[1], ARGV[1])
local sum = redis.call('GET', KEYS[1])
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return sum
