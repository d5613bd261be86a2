-- Record a worker's heartbeat and what it says of itself, and forget the workers that are silent.
-- KEYS: 1 workers, 2 their facts
-- ARGV: 1 `name|children`, 2 facts (JSON), 3 age at which a worker counts as silent (seconds), 4 life of both (seconds)
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
return redis.call('ZCARD', KEYS[1])
