-- Tells what the server that has a key says of its memory.
-- KEYS: the key.
return redis.call('INFO', 'memory')
