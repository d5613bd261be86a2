#!lua flags=allow-oom
-- Take back that a worker began to read the list, as it leaves it to another in order.
-- KEYS: 1 job, 2 lock
-- ARGV: 1 the lock's owner
-- Returns: 1 where the list is still to be read; else 0
local began = redis.call('HGET', KEYS[1], 'reading')
if not began or redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
if redis.call('HGET', KEYS[1], 'reader') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'reading', math.max(0, began - 1), 'called_at', timestamp(), 'seen_at', timestamp())
  redis.call('HDEL', KEYS[1], 'reader')
end
return redis.call('HGET', KEYS[1], 'state') == 'submitting' and 1 or 0
