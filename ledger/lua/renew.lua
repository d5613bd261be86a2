-- Renew a lease, record what the worker is waiting for, the last error it met and the job's pace, and read whether to
-- go on.
-- KEYS: 1 job, 2 leased, 3 owners, 4 pace, 5 counts, 6 series
-- ARGV: 1 shard, 2 owner, 3 lease (seconds), 4 the error since the last renewal (JSON, '' for none),
--       5 requests, 6 retries, 7 throttled of the turn so far, 8 rows in flight, 9 rows waiting for the rate, 10 rows
--       backing off, 11 seconds that the rate is paused for, 12 why ('' where it is not), 13 shared rate in force (0
--       where not known), 14 the one asked for (requests a minute), 15 why they differ ('' where they do not), 16 rows
--       that wait for another job's claim, 17 that job ('' where not known)
-- Returns: the job's state; 'lost' where the lease is another's or gone
local job = redis.call('HMGET', KEYS[1], 'state', 'rate_per_minute')
local state, shared, own = job[1], tonumber(ARGV[13]), tonumber(job[2] or '')
if not state or not is_owner(KEYS[3], ARGV[1], ARGV[2]) then
  return 'lost'
end
local renewed_at = now()
redis.call('ZADD', KEYS[2], renewed_at + tonumber(ARGV[3]), ARGV[1])
redis.call('HSET', KEYS[4], 'shard:' .. ARGV[1], renewed_at .. ' ' .. table.concat(ARGV, ' ', 8))
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[4], 'last_error', ARGV[4], 'last_error_at', renewed_at)
end
if redis.call('EXISTS', KEYS[5]) == 1 then
  count_traffic(KEYS[5], KEYS[4], ARGV[1], ARGV[2], { ARGV[5], ARGV[6], ARGV[7] })
  record_pace(KEYS[5], KEYS[6], shared > 0 and math.min(shared, own or shared) or nil)
end
return state
