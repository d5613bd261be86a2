#!lua flags=allow-oom
-- Set or remove a job's own rate.
-- KEYS: 1 job, 2 audit log
-- ARGV: 1 requests a minute ('' for none), 2 audit entry (JSON without the time)
-- Returns: 1; 0 where there is no such job
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'rate_per_minute')
else
  redis.call('HSET', KEYS[1], 'rate_per_minute', ARGV[1])
end
audit(KEYS[1], KEYS[2], ARGV[2])
return 1
