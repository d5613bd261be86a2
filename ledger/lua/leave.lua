#!lua flags=allow-oom
-- Remove a job from the active ones, add its counts to the lasting totals, and record its end for notifications: once,
-- however often it is called.
-- KEYS: 1 active jobs, 2 totals, 3 job, 4 counts of the job, 5 ended jobs, 6 audit log of the job,
--       7 folders of archived reports, 8 jobs to archive
-- ARGV: 1 job id, 2 how long an end is kept (seconds), 3 how long a job waits to be archived (seconds)
-- Returns: 1 where the totals have grown, else 0
if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then
  return 0
end
local state = redis.call('HGET', KEYS[3], 'state')
if state == 'submitting' then
  return 0 -- workers never saw it, and nobody counted it yet
end
local ended_at = math.floor(now())
redis.call('ZADD', KEYS[5], ended_at, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ended_at - ARGV[2])
redis.call('EXPIRE', KEYS[5], ARGV[2])
if state and redis.call('HSETNX', KEYS[3], 'counted', 1) == 0 then
  return 0
end
local counts = redis.call('HGETALL', KEYS[4])
for i = 1, #counts, 2 do
  redis.call('HINCRBY', KEYS[2], counts[i], counts[i + 1])
end
local ended = state == 'finished' or state == 'cancelled'
if not ended then
  audit_event(KEYS[3], KEYS[6], 'ledger', 'lost', 'Redis lost some or all of the job')
elseif redis.call('EXISTS', KEYS[7]) == 1 then
  redis.call('ZADD', KEYS[8], ended_at, ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', ended_at - ARGV[3])
  redis.call('EXPIRE', KEYS[8], ARGV[3])
end
redis.call('HINCRBY', KEYS[2], 'jobs:' .. (ended and state or 'lost'), 1)
return 1
