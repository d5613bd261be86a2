-- Choose the next shards of a job to announce, so that no more than a window of them is announced or leased.
-- KEYS: 1 job, 2 waiting, 3 announced, 4 leased
-- ARGV: 1 window (shards)
-- Returns: list of shard numbers that the caller now sends messages for; empty unless the job is running
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then
  return {}
end
local busy = redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
local room = tonumber(ARGV[1]) - busy
if room <= 0 then
  return {}
end
local popped = redis.call('ZPOPMIN', KEYS[2], room)
local chosen = {}
for i = 1, #popped, 2 do
  redis.call('ZADD', KEYS[3], now(), popped[i])
  chosen[#chosen + 1] = tonumber(popped[i])
end
return chosen
