-- Bring back the shards that nobody is at: leases that ran out, messages that nobody answered.
-- KEYS: 1 job, 2 waiting, 3 announced, 4 leased, 5 owners, 6 crashes, 7 pace
-- ARGV: 1 seconds after which an announcement counts as lost, 2 leases that may run out before a shard is parked
-- Returns: list of shards to park: their worker died time and again before it settled a row
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {}
end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
for _, shard in ipairs(redis.call('ZRANGE', KEYS[3], '-inf', now - tonumber(ARGV[1]), 'BYSCORE')) do
  redis.call('ZREM', KEYS[3], shard)
  redis.call('ZADD', KEYS[2], shard, shard)
end
local parked = {}
for _, shard in ipairs(redis.call('ZRANGE', KEYS[4], '-inf', now, 'BYSCORE')) do
  redis.call('ZREM', KEYS[4], shard)
  redis.call('HDEL', KEYS[5], shard)
  redis.call('HDEL', KEYS[7], 'shard:' .. shard)
  redis.call('ZADD', KEYS[2], shard, shard)
  if redis.call('HINCRBY', KEYS[6], shard, 1) >= tonumber(ARGV[2]) then
    parked[#parked + 1] = tonumber(shard)
  end
end
return parked
