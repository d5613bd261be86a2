-- Take a shard for one worker, for a bounded time.
-- KEYS: 1 job, 2 waiting, 3 announced, 4 leased, 5 owners
-- ARGV: 1 shard, 2 owner, 3 lease (seconds)
-- Returns: 'leased', or why not: 'gone' (no such job), 'done' (shard has ended), 'busy' (another's lease),
--          'idle' (the job is not running or not approved, or its canary is open; the shard waits)
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return 'gone'
end
local expires_at = now() + tonumber(ARGV[3])
if redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  if is_owner(KEYS[5], ARGV[1], ARGV[2]) then
    -- asked again by the same owner: the first answer was lost on its way
    redis.call('ZADD', KEYS[4], expires_at, ARGV[1])
    return 'leased'
  end
  -- an expired lease is left to rescue.lua, which counts the crash
  return 'busy'
end
local known = redis.call('ZREM', KEYS[3], ARGV[1]) + redis.call('ZREM', KEYS[2], ARGV[1])
if known == 0 then
  return 'done'
end
local gate = canary_gate(KEYS[1])
if state ~= 'running' or (gate and tonumber(ARGV[1]) >= gate) or lacks_approval(KEYS[1]) then
  redis.call('ZADD', KEYS[2], ARGV[1], ARGV[1])
  return 'idle'
end
redis.call('ZADD', KEYS[4], expires_at, ARGV[1])
redis.call('HSET', KEYS[5], ARGV[1], ARGV[2])
return 'leased'
