-- Write a new job as `submitting`, unless its id is taken: two jobs under one id would destroy each other.
-- KEYS: 1 jobs, 2 job, 3 counts, 4 outcomes, 5 times, 6 series, then the job's other keys
-- ARGV: 1 job id, 2 maker (another one with each call), 3 spec (JSON), 4 priority, 5 rate of its own (requests a
--       minute, '' for none), 6 rows, 7 rejected rows, 8 folded rows, 9 rows that are unchanged from the start, 10 time
--       to live (milliseconds)
-- Returns: 1 where the job is there as this caller made it, also where it asks again; 0 where the id is another's
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    return redis.call('HGET', KEYS[2], 'maker') == ARGV[2] and 1 or 0
  end
end
local submitted_at = timestamp()
redis.call('HSET', KEYS[2], 'state', 'submitting', 'maker', ARGV[2], 'spec', ARGV[3], 'priority', ARGV[4],
  'submitted_at', submitted_at)
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[2], 'rate_per_minute', ARGV[5])
end
redis.call('HSET', KEYS[3], 'total', ARGV[6] + ARGV[7] + ARGV[9], 'rejected', ARGV[7], 'folded', ARGV[8],
  'unchanged', ARGV[9])
if tonumber(ARGV[6]) > 0 then
  redis.call('SETRANGE', KEYS[4], ARGV[6] - 1, '\0')
  redis.call('SETRANGE', KEYS[5], ARGV[6] * 4 - 1, '\0')
end
begin_series(KEYS[6], ARGV[9])
for i = 2, 6 do
  redis.call('PEXPIRE', KEYS[i], ARGV[10])
end
redis.call('ZADD', KEYS[1], submitted_at, ARGV[1])
return 1
