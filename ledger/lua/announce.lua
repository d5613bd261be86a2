-- Choose the next shards of a job to announce, so that no more than a window of them is announced or leased; while its
-- canary is open, only those of the canary.
-- KEYS: 1 job, 2 waiting, 3 announced, 4 leased
-- ARGV: 1 window (shards)
-- Returns: list of shard numbers that the caller now sends messages for; empty unless the job is running and
--          needs no approval
if redis.call('HGET', KEYS[1], 'state') ~= 'running' or lacks_approval(KEYS[1]) then
  return {}
end
local busy = redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
local room = tonumber(ARGV[1]) - busy
if room <= 0 then
  return {}
end
local gate = canary_gate(KEYS[1])
local last = gate and '(' .. gate or '+inf'
local chosen = {}
for _, shard in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', last, 'BYSCORE', 'LIMIT', 0, room)) do
  redis.call('ZREM', KEYS[2], shard)
  redis.call('ZADD', KEYS[3], now(), shard)
  chosen[#chosen + 1] = tonumber(shard)
end
return chosen
