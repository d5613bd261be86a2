-- Renew a lease, record what the worker is waiting for and the last error it met, and read whether to go on.
-- KEYS: 1 job, 2 leased, 3 owners, 4 pace
-- ARGV: 1 shard, 2 owner, 3 lease (seconds), 4 the error since the last renewal (JSON, '' for none),
--       5 rows in flight, 6 rows waiting for the rate, 7 rows backing off, 8 seconds that the rate is paused for,
--       9 why ('' where it is not), 10 shared rate in force, 11 the one asked for (requests a minute), 12 why they
--       differ ('' where they do not), 13 rows that wait for another job's claim, 14 that job ('' where not known)
-- Returns: the job's state; 'lost' where the lease is another's or gone
local state = redis.call('HGET', KEYS[1], 'state')
if not state or not is_owner(KEYS[3], ARGV[1], ARGV[2]) then
  return 'lost'
end
local renewed_at = now()
redis.call('ZADD', KEYS[2], renewed_at + tonumber(ARGV[3]), ARGV[1])
redis.call('HSET', KEYS[4], 'shard:' .. ARGV[1], renewed_at .. ' ' .. table.concat(ARGV, ' ', 5))
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[4], 'last_error', ARGV[4], 'last_error_at', renewed_at)
end
return state
