#!lua flags=allow-oom
-- Queue the shards again that no worker has: leases that expired, messages that no worker answered.
-- KEYS: 1 job, 2 waiting, 3 announced, 4 leased, 5 owners, 6 crashes, 7 pace, 8 totals
-- ARGV: 1 seconds after which an announcement counts as lost, 2 leases that may expire before a shard is parked
-- Returns: list: 1 shards to park (their worker died time and again before it settled a row), then the numbers of
--          2 messages that were lost, 3 leases that expired
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { {}, 0, 0 }
end
local now = now()
local unanswered = redis.call('ZRANGE', KEYS[3], '-inf', now - tonumber(ARGV[1]), 'BYSCORE')
for _, shard in ipairs(unanswered) do
  redis.call('ZREM', KEYS[3], shard)
  redis.call('ZADD', KEYS[2], shard, shard)
end
local parked = {}
local abandoned = redis.call('ZRANGE', KEYS[4], '-inf', now, 'BYSCORE')
for _, shard in ipairs(abandoned) do
  redis.call('ZREM', KEYS[4], shard)
  -- the owner is noted: one that lives after all takes its crash back (survive.lua)
  local owners = redis.call('HGET', KEYS[6], 'owners:' .. shard) or ''
  redis.call('HSET', KEYS[6], 'owners:' .. shard, owners .. ' ' .. (redis.call('HGET', KEYS[5], shard) or ''))
  redis.call('HDEL', KEYS[5], shard)
  redis.call('HDEL', KEYS[7], 'shard:' .. shard, 'counted:' .. shard)
  redis.call('ZADD', KEYS[2], shard, shard)
  if redis.call('HINCRBY', KEYS[6], shard, 1) >= tonumber(ARGV[2]) then
    parked[#parked + 1] = tonumber(shard)
  end
end
if #abandoned > 0 then
  redis.call('HINCRBY', KEYS[8], 'abandoned', #abandoned)
end
return { parked, #unanswered, #abandoned }
