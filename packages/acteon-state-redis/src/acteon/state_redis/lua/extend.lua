-- Lets a lock end so many ms from now, if the token holds it; with 0 at once.
-- KEYS: the lock. ARGV: the token; the ms. Gives 1 if the token held it, else 0.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
