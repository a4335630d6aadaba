-- Takes a lock that is free or held by the same token. KEYS: the lock. ARGV: the token; its ms.
-- Gives nothing if it is held now, else the ms that the other one has it.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return redis.call('PTTL', KEYS[1])
elseif ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return nil
