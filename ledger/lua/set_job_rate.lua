#!lua flags=allow-oom
-- Give a job a rate of its own, or take it away.
-- KEYS: 1 job
-- ARGV: 1 requests a minute ('' for none)
-- Returns: 1; 0 where there is no such job, of which nothing is to be left
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'rate_per_minute')
else
  redis.call('HSET', KEYS[1], 'rate_per_minute', ARGV[1])
end
return 1
