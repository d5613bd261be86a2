#!lua flags=allow-oom
-- Keep the digest of a job's rows with the job.
-- KEYS: 1 job
-- ARGV: 1 digest (hex)
-- Returns: 1 where it is kept, 0 where the job is gone
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'digest', ARGV[1])
return 1
