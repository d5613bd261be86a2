-- Keep before-images of a shard, if it is still the worker's who read them.
-- KEYS: 1 job, 2 owners, 3 journal of the shard
-- ARGV: 1 shard, 2 owner, 3 group of before-images, 4 time to live (milliseconds)
-- Returns: 1; 0 where the lease is another's; -1 where the job is gone
if redis.call('EXISTS', KEYS[1]) == 0 then
  return -1
end
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('APPEND', KEYS[3], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
