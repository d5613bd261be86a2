#!lua flags=allow-oom
-- Record a worker's heartbeat and what it says of itself, and forget the workers that are silent. A start of a worker is
-- recorded with its first heartbeat, and forgotten once it is old.
-- KEYS: 1 workers, 2 their facts, 3 starts
-- ARGV: 1 `name|children`, 2 facts (JSON), 3 age at which a worker counts as silent (seconds), 4 life of both (seconds),
--       5 `name|start` ('' where the worker names none), 6 seconds since that start, 7 age at which a start is old (seconds),
--       8 most starts that are kept
-- Returns: the number of workers that are alive
local now = now()
local silent = redis.call('ZRANGE', KEYS[1], '-inf', now - ARGV[3], 'BYSCORE')
for _, worker in ipairs(silent) do
  redis.call('ZREM', KEYS[1], worker)
  redis.call('HDEL', KEYS[2], worker)
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[7])
if ARGV[5] ~= '' and tonumber(ARGV[6]) < tonumber(ARGV[7]) then
  redis.call('ZADD', KEYS[3], 'NX', now - ARGV[6], ARGV[5])
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[8])
  redis.call('EXPIRE', KEYS[3], ARGV[7])
end
return redis.call('ZCARD', KEYS[1])
