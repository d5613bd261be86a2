-- Subtract a crash that was counted for a worker that is alive: it was stopped, or could not reach Redis.
-- KEYS: 1 crashes
-- ARGV: 1 shard, 2 owner of the lease that expired
-- Returns: 1 where a crash was subtracted, else 0
local owners = redis.call('HGET', KEYS[1], 'owners:' .. ARGV[1]) or ''
local from, to = string.find(owners .. ' ', ' ' .. ARGV[2] .. ' ', 1, true)
if not from then
  return 0
end
redis.call('HSET', KEYS[1], 'owners:' .. ARGV[1], string.sub(owners, 1, from - 1) .. string.sub(owners, to))
redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
return 1
