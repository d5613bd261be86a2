-- Renew a lease, record what the worker is waiting for, and read whether to go on.
-- KEYS: 1 job, 2 leased, 3 owners, 4 pace
-- ARGV: 1 shard, 2 owner, 3 lease (seconds), 4 rows in flight, 5 rows waiting for the rate, 6 rows backing off,
--       7 seconds that the rate is paused for, 8 why ('' where it is not), 9 shared rate in force, 10 the one asked
--       for (requests a minute), 11 why they differ ('' where they do not), 12 rows that wait for another job's
--       claim, 13 that job ('' where not known)
-- Returns: the job's state; 'lost' where the lease is another's or gone
local state = redis.call('HGET', KEYS[1], 'state')
if not state or not is_owner(KEYS[3], ARGV[1], ARGV[2]) then
  return 'lost'
end
local renewed_at = now()
redis.call('ZADD', KEYS[2], renewed_at + tonumber(ARGV[3]), ARGV[1])
redis.call('HSET', KEYS[4], 'shard:' .. ARGV[1], renewed_at .. ' ' .. table.concat(ARGV, ' ', 4))
return state
