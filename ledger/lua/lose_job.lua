#!lua flags=allow-oom
-- Record a job as lost that somebody remembers and that is not there any more: once, and only where it is not there.
-- KEYS: 1 job, 2 its tombstone, 3 lost, 4 active jobs, 5 jobs, 6 ended jobs, 7 totals,
--       8 audit log
-- ARGV: 1 job id, 2 tombstone (JSON), 3 when the job was submitted, 4 when the loss was found (seconds since the epoch),
--       5 life of the tombstone (milliseconds), 6 life of the entries in the lists of lost and ended jobs (seconds),
--       7 most entries of the list of lost jobs, 8 audit entry (JSON without the time)
-- Returns: 1 where it was recorded now, else 0
if redis.call('HEXISTS', KEYS[1], 'spec') == 1 or not redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[5]) then
  return 0
end
redis.call('ZADD', KEYS[3], ARGV[4], 'job:' .. ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now() - ARGV[6])
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[7])
redis.call('EXPIRE', KEYS[3], ARGV[6])
redis.call('SREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[6], math.floor(now()), ARGV[1])
redis.call('EXPIRE', KEYS[6], ARGV[6])
redis.call('HINCRBY', KEYS[7], 'jobs:lost', 1)
audit(KEYS[2], KEYS[8], ARGV[8])
return 1
