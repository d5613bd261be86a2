-- Keep what a turn leaves behind for the next one: traffic that no settlement told of, and how often rows failed.
-- KEYS: 1 job, 2 counts, 3 tries, 4 owners
-- ARGV: 1 shard, 2 owner, 3 requests, 4 retries, 5 throttled, then for each row: row number in the job, its tries
--       (msgpack)
-- Returns: rows kept; -1 where the job is gone, -2 where the lease is another's, whose word counts
if redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then
  return -1
end
if redis.call('HGET', KEYS[4], ARGV[1]) ~= ARGV[2] then
  return -2
end
for i, word in ipairs({ 'requests', 'retries', 'throttled' }) do
  if ARGV[i + 2] ~= '0' then
    redis.call('HINCRBY', KEYS[2], word, ARGV[i + 2])
  end
end
for i = 6, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
return (#ARGV - 5) / 2
